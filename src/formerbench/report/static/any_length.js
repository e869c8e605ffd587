// Time and memory at the length that the reader types. Without this script the page shows them at one length.
function showLength(form, { curves, columns, last }) {
  const device = form.elements.device.value;
  const lookback = Number(form.elements.lookback.value);
  for (const row of document.getElementById("at-length").tBodies[0].rows) {
    const costs = curves[device][row.dataset.model] ?? {};
    columns.forEach((name, i) => { row.cells[i + 1].textContent = span(cost(costs[name], { lookback })); });
  }
  document.getElementById("beyond").textContent =
    lookback > last[device] ? `Nothing above ${last[device].toLocaleString("en")} was measured: this reads on.` : "";
}

const lengthForm = document.getElementById("length");
if (lengthForm) {
  const known = JSON.parse(document.getElementById("curves").textContent);
  const show = () => { if (lengthForm.checkValidity()) showLength(lengthForm, known); };
  lengthForm.addEventListener("input", show);
  lengthForm.addEventListener("submit", (event) => { event.preventDefault(); show(); });
  lengthForm.addEventListener("reset", () => setTimeout(show));
}
