// Marks the way of the reader's question through the review's tree, as decision_tree.walk goes it.
function taken(item, value) {
  const { lowest, below, truth } = item.dataset;
  if (truth !== undefined) return String(value) === truth;
  return (lowest === undefined || value >= Number(lowest)) && (below === undefined || value < Number(below));
}

function follow(list, query) {
  const items = [...list.children];
  const value = query[list.dataset.about];
  const item = (value !== null && items.find((one) => taken(one, value))) || items.at(-1);
  item.setAttribute("aria-current", "step");
  const next = item.querySelector(":scope > ul");
  if (next) follow(next, query);
}

function showPath() {
  const question = document.getElementById("question");
  if (!question.checkValidity()) return;
  const tree = document.getElementById("review-tree");
  tree.querySelectorAll(":scope ul [aria-current]").forEach((item) => item.removeAttribute("aria-current"));
  follow(tree.querySelector("ul"), asked(question));
}

document.getElementById("question").addEventListener("input", showPath);
document.getElementById("question").addEventListener("reset", () => setTimeout(showPath));
