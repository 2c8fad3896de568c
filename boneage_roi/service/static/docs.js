// The REST interface, shown from its OpenAPI description.

import { h, $ } from "./dom.js";

const document_ = await (await fetch("/openapi.json")).json();
const origin = window.location.origin;

function example(path, method, operation) {
  if (method === "get") return `curl ${origin}${path}`;
  return `curl -F file=@hand.png -F sex=F -F chronological_age=10y4m ${origin}${path}`;
}

function table(head, rows) {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": head[0] }, h("table", {},
    h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((text, index) => h(index ? "td" : "th", index ? {} : { scope: "row" }, text)))))));
}

function operation(path, method, about) {
  const form = about.requestBody?.content["multipart/form-data"]?.schema;
  const fields = form ? Object.entries(form.properties).map(([name, field]) => [name, field.description || ""]) : [];
  const types = about.requestBody ? Object.keys(about.requestBody.content).join(", ") : "";
  const answers = Object.entries(about.responses).map(([status, answer]) => [status, answer.description, Object.keys(answer.content || {}).join(", ")]);
  return h("section", { class: "card" },
    h("h2", {}, `${method.toUpperCase()} ${path}`),
    h("p", {}, about.summary),
    about.description ? h("p", {}, about.description) : null,
    h("pre", { class: "scroll", tabindex: 0 }, h("code", {}, example(path, method, about))),
    types ? h("p", {}, `Body: ${types}`) : null,
    fields.length ? table(["Field", "Meaning"], fields) : null,
    h("h3", {}, "Answers"),
    table(["Status", "Meaning", "Type"], answers));
}

$("docs").append(
  h("section", { class: "card" }, h("h2", {}, `REST interface, version ${document_.info.version}`), h("p", {}, document_.info.description)),
  ...Object.entries(document_.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, about]) => operation(path, method, about))),
);
