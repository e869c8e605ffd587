"""What a trained model shows of its inside on a real window, reduced to what a page can draw."""


def most_calibrated(n_variates: int) -> int:
    """Test windows at most by which quantiles are held against the truth: all of them would take hours."""
    return min(256, max(1, 8192 // n_variates))
