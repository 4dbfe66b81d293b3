// What pages do besides drawing: tables that sort by a column, and the choice of one cut.

for (const table of document.querySelectorAll("table.sortable")) {
  // A click on a header sorts by its column; what a row doesn't have goes last.
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const by = (row) => row.cells[column].dataset.by;
      const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
      const rows = [...body.rows].sort((one, other) => {
        const a = by(one), b = by(other);
        if (a === "" || b === "") return (a === "") - (b === "");
        return down ? compare(b, a) : compare(a, b);
      });
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}

for (const choice of document.querySelectorAll("fieldset.choice")) {
  // Without scripts all are shown, and the control isn't; in print all are shown, whatever is chosen.
  const show = () => {
    const chosen = choice.querySelector("input:checked").value;
    for (const one of document.querySelectorAll("[data-cut]")) {
      one.classList.toggle("passed-over", chosen !== "all" && one.dataset.cut !== chosen);
    }
  };
  choice.hidden = false;
  choice.addEventListener("change", show);
  show();
}

// What is folded in is printed unfolded.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details.more:not([open])")) {
    folded.open = true;
    addEventListener("afterprint", () => (folded.open = false), { once: true });
  }
});
