"""What a trained model shows of its inside on a real window, reduced to what a page can draw."""
