// Filters tables of class "filterable" by what their rows say; without this script all rows are shown.
const FILTERS = ["verdict", "section", "kind"];

function makeFilterable(table) {
  const rows = [...table.tBodies[0].rows];
  const box = document.createElement("div");
  box.className = "filters";
  const shown = document.createElement("span");
  shown.setAttribute("role", "status");
  const selects = FILTERS.map((name) => {
    const select = document.createElement("select");
    const values = new Set(rows.map((row) => row.dataset[name]));
    select.append(new Option("all", ""), ...[...values].map((value) => new Option(value, value)));
    select.addEventListener("change", update);
    const label = document.createElement("label");
    label.append(name[0].toUpperCase() + name.slice(1) + " ", select);
    box.append(label);
    return select;
  });
  function update() {
    for (const row of rows) {
      row.hidden = FILTERS.some((name, i) => selects[i].value && row.dataset[name] !== selects[i].value);
    }
    shown.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown`;
  }
  box.append(shown);
  table.closest(".scroll").before(box);
  update();
}

document.querySelectorAll("table.filterable").forEach(makeFilterable);
