// Every figure whose numbers stand in the page is drawn anew from them, as it comes into view: its
// values can be read off and it follows the theme. The image stays where anything goes wrong.

const WIDE = 640;

// Panels' entries of what is told, one for all that lies at the same x.
function entriesOf(panel, ticks) {
  const named = panel.marks.some((mark) => mark.name && mark.columns.y && mark.kind !== "rule");
  const telling = panel.marks.filter((mark) => mark.name || !named);
  const every = telling.flatMap((mark) => tellings(mark, panel)).filter((one) => given(one.x) && given(one.y));
  const scattered = every.some((one) => one.scattered) || every.length > 5000;
  const heading = (one) => one.head ? `${panel.x.label}: ${one.head}` : `${panel.x.label}: ${told(one.x)}`;
  if (scattered) {
    return [every.map((one) => ({ ...one, title: panel.y.ticks ? one.says : `${heading(one)}\n${one.says}` })), false];
  }
  const places = d3.groups(every, (one) => one.x.toPrecision(6)).map(([, there]) => {
    const main = there.find((one) => !one.aside) ?? there[0];
    const head = there.find((one) => one.head) ?? main;
    return { x: main.x, y: main.y, several: there.length > 1, title: [heading(head), ...there.map((one) => one.says)].join("\n") };
  });
  // Curves that share their points are read at one x; others by the nearest point.
  const shared = places.filter((one) => one.several).length > places.length / 2 || panel.marks.filter((m) => m.columns.y).length === 1;
  return [places.filter((one) => one.x >= ticks.xDomain[0] && one.x <= ticks.xDomain[1]), shared];
}

// Places of ticks on a logarithmic axis: decades, or 1, 2 and 5 where they are few.
function logTicks([low, high], most) {
  const decades = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
  const within = (values) => values.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  const fine = within(decades.flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power)));
  const coarse = within(decades.map((power) => 10 ** power));
  if (coarse.length < 2 && fine.length < 3) return d3.ticks(low, high, Math.min(most, 6));
  // Below two decades the powers of ten alone leave hardly any label.
  if (high < 100 * low && fine.length >= 3) return fine;
  const shown = fine.length <= Math.max(4, most) ? fine : coarse;
  return shown.filter((_, i) => i % Math.ceil(shown.length / most) === 0);
}

function axisOf(axis, domain, most) {
  if (axis.ticks) {
    const words = new Map(Object.entries(axis.ticks).map(([word, place]) => [place, word]));
    return { ticks: [...words.keys()], tickFormat: (place) => words.get(place), tickSize: 0 };
  }
  if (axis.scale === "log") return { ticks: logTicks(domain, most), tickFormat: told };
  const large = Math.max(...domain.map(Math.abs)) >= 1e5;
  return { ticks: d3.ticks(...domain, most), tickFormat: large ? told : d3.tickFormat(...domain, most, "f") };
}

function panelOf(chart, panel, look, size, bottom) {
  const longest = panel.y.ticks ? d3.max(Object.keys(panel.y.ticks), (word) => word.length) : 0;
  const marginLeft = panel.y.ticks ? Math.min(14 + 6.3 * longest, 0.42 * size.width) : 52;
  const marginBottom = bottom ? 42 : 10, marginTop = panel.title ? 40 : 26, marginRight = 14;
  let height = size.height + marginTop + marginBottom;
  if (panel.equal) {
    const [x, y] = [look.xDomain, look.yDomain].map(([low, high]) => high - low);
    height = Math.min(1.3 * size.width, (size.width - marginLeft - marginRight) * (y / x)) + marginTop + marginBottom;
  }
  const x = axisOf(panel.x, look.xDomain, Math.max(3, size.width / 90));
  const y = axisOf(panel.y, look.yDomain, Math.max(3, height / 55));
  const [entries, across] = entriesOf(panel, look);
  const near = (options) => (across ? Plot.pointerX : Plot.pointer)({ x: "x", y: "y", maxRadius: 60, ...options });
  const svg = Plot.plot({
    width: size.width, height, marginLeft, marginBottom, marginTop, marginRight,
    x: { type: panel.x.scale, domain: look.xDomain, axis: null },
    y: { type: panel.y.scale, domain: look.yDomain, axis: null },
    marks: [
      Plot.gridY(y.ticks, { stroke: "var(--line)", strokeOpacity: 0.6 }),
      ...panel.marks.flatMap((mark) => drawn(mark, look)).filter(Boolean),
      Plot.frame({ stroke: "var(--faint)" }),
      Plot.axisX(x.ticks, { tickSize: 5, ...x, ticks: undefined, tickFormat: bottom ? x.tickFormat : () => "", label: bottom ? panel.x.label : null, labelAnchor: "right", labelArrow: "none", labelOffset: 38 }),
      Plot.axisY(y.ticks, { tickSize: 5, ...y, ticks: undefined, label: panel.y.label || null, labelAnchor: "top", labelArrow: "none" }),
      panel.title ? Plot.text([panel.title], { frameAnchor: "top", dy: -34, fontWeight: 600 }) : null,
      Plot.dot(entries, near({ r: 4.5, stroke: "var(--ink)", fill: "none", strokeWidth: 1.5 })),
      Plot.tip(entries, near({ title: "title", lineWidth: 34, fontSize: 12, lineHeight: 1.25, stroke: "var(--faint)", pathFilter: "none" })),
    ],
  });
  byKeys(svg, entries);
  return svg;
}

// Arrow keys step through what a pointer would find, and say it.
function byKeys(svg, entries) {
  const order = d3.sort(entries, (one) => one.x);
  let at = -1;
  svg.tabIndex = 0;
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") svg.dispatchEvent(new PointerEvent("pointerleave", { pointerType: "mouse" }));
    if (!step || !order.length) return;
    event.preventDefault();
    at = Math.min(order.length - 1, Math.max(0, at + step));
    const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
    const clientX = box.left + scale * svg.scale("x").apply(order[at].x);
    const clientY = box.top + scale * svg.scale("y").apply(order[at].y);
    svg.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, pointerType: "mouse" }));
    svg.closest(".chart").querySelector(".said").textContent = order[at].title;
  });
  svg.addEventListener("blur", () => svg.dispatchEvent(new PointerEvent("pointerleave", { pointerType: "mouse" })));
}

const SWATCHES = {
  line: '<line x1="0" x2="24" y1="6" y2="6" stroke-width="2.2"/>',
  steps: '<path d="M1 11V5H12V2H23V11" fill="none" stroke-width="1.8"/>',
  points: '<circle cx="12" cy="6" r="3.6" stroke-width="1.3"/>',
  rule: '<line x1="0" x2="24" y1="6" y2="6" stroke-width="1.5"/>',
  spans: '<line x1="0" x2="24" y1="6" y2="6" stroke-width="4"/>',
};
const AREA = '<rect width="24" height="12" fill-opacity=".35" stroke="none"/>';

function legendOf(chart, groups) {
  const list = document.createElement("ul");
  list.className = "legend";
  const add = (name, kind, color, dashed, filled) => {
    const item = document.createElement("li");
    const hollow = kind === "points" && dashed;
    item.innerHTML = `<svg viewBox="0 0 24 12" aria-hidden="true" style="stroke:${color};fill:${hollow ? "none" : color}"`
      + ` ${dashed && !hollow ? 'stroke-dasharray="4 3"' : ""}>${filled && kind === "steps" ? AREA : ""}${SWATCHES[kind] ?? AREA}</svg>`;
    item.append(name);
    list.append(item);
  };
  const seen = new Set();
  for (const mark of chart.panels.flatMap((panel) => panel.marks)) {
    if (!mark.name || mark.columns.group || seen.has(mark.name)) continue;
    seen.add(mark.name);
    add(mark.name, mark.kind, painted(mark.color), mark.dashed, mark.filled || Boolean(mark.columns.low && mark.kind === "steps"));
  }
  for (const [name, color] of groups) add(name, "points", color);
  return list.children.length ? list : null;
}

function chartOf(chart, width, alt) {
  const groups = groupsOf(chart);
  const sizes = chart.panels.flatMap((panel) => panel.marks.flatMap((mark) => mark.columns.size ?? []));
  const box = document.createElement("div"), panels = document.createElement("div"), said = document.createElement("div");
  [box.className, panels.className, said.className] = ["chart", "panels", "said"];
  said.setAttribute("aria-live", "polite");
  const least = chart.panels.some((panel) => panel.y.ticks) ? 330 : 220;
  const beside = chart.shared_x ? 1 : Math.max(1, Math.min(chart.panels.length, 3, Math.floor(width / least)));
  const each = Math.floor((width - 8 * (beside - 1)) / beside);
  const every = chart.panels.flatMap((panel) => panel.marks);
  const common = chart.shared_x && (chart.panels.find((panel) => panel.x.domain)?.x.domain ?? domainOf(chart.panels[0].x, "x", every));
  chart.panels.forEach((panel, place) => {
    const look = {
      x: panel.x, y: panel.y, groups, largest: d3.max(sizes) ?? 1,
      xDomain: common || domainOf(panel.x, "x", panel.marks), yDomain: domainOf(panel.y, "y", panel.marks),
    };
    const first = !chart.shared_x || place === 0;
    const rows = panel.y.ticks ? 34 * Object.keys(panel.y.ticks).length : 0;
    // A panel below another with curves of its own needs more room than one of pulls.
    const share = first ? 0.52 : panel.marks.some((mark) => mark.name) ? 0.34 : 0.17;
    const height = rows || Math.min(first ? 330 : 620 * share, Math.max(first ? 210 : 80, each * share));
    const svg = panelOf(chart, panel, look, { width: each, height }, !chart.shared_x || place === chart.panels.length - 1);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${alt} Arrow keys tell its values.`);
    const holder = document.createElement("div");
    holder.append(svg);
    panels.append(holder);
  });
  const legend = legendOf(chart, groups);
  box.append(...(legend ? [legend] : []), panels, said);
  return box;
}

function draw(figure, width) {
  const place = figure.querySelector(".drawn"), image = place.querySelector("img");
  const name = figure.dataset.numbers ?? figure.id;
  try {
    const chart = JSON.parse(document.getElementById(`numbers-${name}`).textContent);
    const box = chartOf(chart, width, image.alt);
    place.querySelector(".chart")?.remove();
    place.append(box);
    image.hidden = true;
    figure.dataset.width = width;
  } catch (error) {
    figure.dataset.width = "image";
    console.warn(`${name}: stays an image: ${error.message}`);
  }
}

const interactive = [...document.querySelectorAll("figure")].filter((figure) =>
  document.getElementById(`numbers-${figure.dataset.numbers ?? figure.id}`));
const widthOf = (figure) => Math.round(figure.querySelector(".drawn").clientWidth
  - parseFloat(getComputedStyle(figure.querySelector(".drawn")).paddingLeft));
const inView = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (isIntersecting && !target.dataset.width) draw(target, widthOf(target));
  }
}, { rootMargin: "300px" });
for (const figure of interactive) inView.observe(figure);

let waiting;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    for (const figure of interactive) {
      const width = widthOf(figure), was = Number(figure.dataset.width);
      if (was && width > 0 && Math.abs(width - was) > 0.08 * was) draw(figure, width);
    }
  }, 150);
});
addEventListener("beforeprint", () => {
  for (const figure of interactive) if (!figure.dataset.width) draw(figure, widthOf(figure) > 0 ? widthOf(figure) : WIDE);
});
