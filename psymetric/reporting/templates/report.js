"use strict";
// Tables work without this; it adds sorting and search.
for (const table of document.querySelectorAll(".table table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const original = [...body.rows];

  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell ? cell.dataset.v : "";
    const number = Number(text.replace("-inf", "-Infinity"));
    return heads[column].classList.contains("num") && !Number.isNaN(number) ? number : text;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b || 0 : String(a).localeCompare(String(b), undefined, { numeric: true }));

  const sort = (column) => {
    const head = heads[column];
    const first = head.classList.contains("num") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const now = head.getAttribute("aria-sort");
    const next = now === null ? first : now === first ? other : null;
    for (const each of heads) each.removeAttribute("aria-sort");
    let rows = original;
    if (next !== null) {
      head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      rows = original.filter((row) => !row.classList.contains("gap")).sort((a, b) => sign * compare(key(a, column), key(b, column)));
      rows = [...rows, ...original.filter((row) => row.classList.contains("gap"))];
    }
    body.append(...rows);
  };

  if (original.length > 1) {
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      if (head.title) { button.title = head.title; head.removeAttribute("title"); }
      button.addEventListener("click", () => sort(column));
      if (head.textContent.trim()) head.replaceChildren(button);
    });
  }

  if (table.dataset.search) {
    const field = document.createElement("input");
    field.type = "search";
    field.className = "search";
    field.placeholder = "Search";
    field.setAttribute("aria-label", "Search: " + table.dataset.search);
    const none = document.createElement("p");
    none.className = "none";
    none.hidden = true;
    none.setAttribute("role", "status");
    none.textContent = "No row shown here matches; the CSV holds every row.";
    table.after(none);
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLocaleLowerCase();
      let shown = 0;
      for (const row of original) {
        row.hidden = wanted !== "" && (row.classList.contains("gap") || !row.textContent.toLocaleLowerCase().includes(wanted));
        shown += row.hidden ? 0 : 1;
      }
      none.hidden = shown > 0;
    });
    table.closest(".table").querySelector(".links").before(field);
  }
}
