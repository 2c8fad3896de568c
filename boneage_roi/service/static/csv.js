// All results of the session as one CSV file.

const COLUMNS = [
  "name", "status", "bone_age_months", "lower", "upper", "sex", "chronological_age_months", "difference_months", "sds",
  "determination", "growth_table", "height_cm", "adult_height_cm", "flags", "message", "bundle",
];

function cell(value) {
  if (value === null || value === undefined) return "";
  let text = Array.isArray(value) ? value.join("; ") : String(value);
  if (typeof value !== "number" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;  // no formula for a spreadsheet
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function toCsv(items, regions) {
  const head = [...COLUMNS, ...regions.map((name) => `${name.replaceAll("-", "_")}_age`)];
  const rows = items.map((item) => {
    const record = item.record || {};
    const own = { name: item.name, status: item.state, message: item.message, flags: record.flags || item.reasons };
    const ages = regions.map((name) => regionAge(record, name));
    return [...COLUMNS.map((column) => own[column] ?? record[column]), ...ages].map(cell).join(",");
  });
  return [head.join(","), ...rows, ""].join("\r\n");
}

export function regionAge(record, name) {
  const entry = record.regions?.[name];
  return entry === null || entry === undefined ? null : typeof entry === "number" ? entry : entry.age_months;
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
