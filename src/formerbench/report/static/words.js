// Three significant digits, as text.three_digits of the report.
function said(value) {
  if (value === 0) return "0";
  const digits = Math.min(5, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function span(of) {
  if (of === null) return "not measured";
  return said(of.value) + (of.low === null ? "" : ` (${said(of.low)} to ${said(of.high)})`);
}
