// Elements without a framework. Text is always set as text, never as HTML.

export const $ = (id) => document.getElementById(id);

/** Make an element with attributes and children (nodes or text). */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child ?? "–"))));
  return made;
}

/** A function that shows an error, or null to take it away, in an element. */
export function notices(element) {
  return (error) => {
    element.textContent = error?.message ?? "";
    element.hidden = !error;
  };
}

/** Give a select its options, keeping the chosen one if it is still there. */
export function options(select, values, chosen) {
  const same = [...select.options].map((each) => each.value).join() === values.join();
  if (!same) select.replaceChildren(...values.map((value) => make("option", { value }, value)));
  select.value = values.includes(chosen) ? chosen : (values[0] ?? "");
  return select.value;
}

/**
 * A table whose rows are kept by key, so that an update changes texts only.
 * `columns` are [title, cell(row) -> text | node, class]; the first one is the row's heading.
 */
export class Table {
  #rows = new Map();

  constructor(element, columns, onOpen) {
    this.columns = columns;
    this.onOpen = onOpen;
    const heads = columns.map(([title, , kind]) => make("th", { scope: "col", class: kind }, title));
    this.body = make("tbody");
    this.none = make("tr", {}, make("td", { class: "dim", colspan: columns.length }, "none"));
    this.loading = make("tr", {}, make("td", { class: "dim", colspan: columns.length }, "loading"));
    this.body.append(this.loading);
    element.replaceChildren(make("thead", {}, make("tr", {}, ...heads)), this.body);
  }

  /** Show rows, each [key, row], or that there is none; rows that are gone are removed. */
  show(rows) {
    this.loading.remove();
    const keys = new Set(rows.map(([key]) => key));
    for (const [key, { line }] of this.#rows) if (!keys.has(key)) (line.remove(), this.#rows.delete(key));
    for (const [key, row] of rows) this.#draw(key, row);
    if (rows.length) this.none.remove();
    else this.body.append(this.none);
  }

  #draw(key, row) {
    let known = this.#rows.get(key);
    if (!known) {
      const cells = this.columns.map(([, , kind], at) => make(at ? "td" : "th", { class: kind, scope: at ? null : "row" }));
      known = { line: make("tr", {}, ...cells), cells, texts: [] };
      this.#rows.set(key, known);
      this.body.append(known.line);
    }
    this.columns.forEach(([, cell], at) => {
      const value = cell(row);
      if (value instanceof Node) {
        if (known.cells[at].firstChild !== value) known.cells[at].replaceChildren(value);
      } else if (known.texts[at] !== value) {
        known.texts[at] = value;
        known.cells[at].textContent = value ?? "–";
      }
    });
    if (this.onOpen && !known.opens) {
      const heading = known.cells[0];
      const link = make("a", { href: this.onOpen(row) }, heading.textContent);
      heading.replaceChildren(link);
      known.opens = true;
    }
  }
}
