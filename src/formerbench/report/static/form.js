// The form of the decision page. Without this script the page shows the answer to one question.
function asked(form) {
  const number = (name) => (form.elements[name].value === "" ? null : Number(form.elements[name].value));
  return {
    lookback: number("lookback"),
    horizon: number("horizon"),
    n_variates: number("n_variates"),
    seasonality: number("seasonality"),
    interpretable: form.elements.interpretable.checked,
    memory_mb: number("memory_mb"),
    latency_ms: number("latency_ms"),
    device: form.elements.device.value,
  };
}

function showAnswer(form, knowledge, labels, words) {
  const name = (model) => labels[model] ?? model;
  const found = recommend(knowledge, asked(form));
  const first = found.candidates[0];
  const text = [];
  if (found.best === null) text.push("No model fits this question: every one is struck out below.");
  else {
    text.push(`${name(found.best)}: its MSE should be about ${said(first.error)} of seasonal naive's.`);
    if (found.second !== null) {
      text.push(found.tied ? `${name(found.second)} is level with it within noise.` : `Next: ${name(found.second)}.`);
    }
  }
  document.getElementById("answer").textContent = text.join(" ");
  const body = document.getElementById("candidates").tBodies[0];
  const rows = new Map([...body.rows].map((row) => [row.dataset.model, row]));
  for (const one of found.candidates) {
    const row = rows.get(one.model);
    const reasons = one.against.map((reason) =>
      words[reason.reason].replace(/\{(\w+)\}/g, (_, key) => said(reason[key])),
    );
    const error = one.error === null ? null : { value: one.error, low: one.low, high: one.high };
    const cells = one.cells.map((i) => knowledge.settings[i]);
    const texts = [
      span(error),
      span(one.latency_ms),
      span(one.memory_mb),
      cells.map((cell) => `${cell.dataset} L=${cell.lookback} H=${cell.horizon}`).join("; ") || "none",
      reasons.join("; ") || "fits",
    ];
    row.classList.toggle("out", reasons.length > 0);
    texts.forEach((words, i) => { row.cells[i + 1].textContent = words; });
    body.append(row);
  }
}

const form = document.getElementById("question");
if (form) {
  const { knowledge, labels, words } = JSON.parse(document.getElementById("knowledge").textContent);
  const show = () => { if (form.checkValidity()) showAnswer(form, knowledge, labels, words); };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => { event.preventDefault(); show(); });
  form.addEventListener("reset", () => setTimeout(show));
}
