// From the marks of a chart (figures/chart.py) to those of Observable Plot, and to what is told of them.

// The canvas' colours, by the name that the theme knows them under.
const THEMED = {
  "#5790fc": "--blue", "#f89c20": "--orange", "#e42536": "--red", "#964a8b": "--purple",
  "#9c9ca1": "--grey", "#7a21dd": "--violet", "#a96b59": "--brown", "#111111": "--black",
  "#607641": "--one-sigma", "#f5bb54": "--two-sigma",
};
const GROUPS = ["--blue", "--orange", "--purple", "--red", "--grey", "--brown", "--violet", "--black"];
const painted = (color) => (color in THEMED ? `var(${THEMED[color]})` : color);

// A number as text: five digits at most, and a true minus.
function told(value) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-4)
    ? (+value).toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e")
    : String(+(+value).toPrecision(5));
  return text.replaceAll("-", "−");
}

const given = (value) => value !== null && value !== undefined;

// A mark's columns as rows.
function rowsOf(mark) {
  const names = Object.keys(mark.columns);
  return mark.columns[names[0]].map((_, i) => Object.fromEntries(names.map((n) => [n, mark.columns[n][i]])));
}

// Colours by group, alike in all panels of a chart.
function groupsOf(chart) {
  const names = new Map();
  for (const panel of chart.panels) {
    for (const mark of panel.marks) {
      for (const name of mark.columns.group ?? []) {
        if (given(name) && !names.has(name)) names.set(name, `var(${GROUPS[names.size % GROUPS.length]})`);
      }
    }
  }
  return names;
}

// What an axis shows: what it says it does, or all that is drawn with a little room.
function domainOf(axis, side, marks) {
  if (axis.domain) return axis.domain;
  const log = axis.scale === "log";
  const names = side === "x" ? ["x", "x1", "x2", "left", "right"] : ["y", "y1", "y2", "low", "high"];
  const values = marks.flatMap((mark) => names.flatMap((name) => mark.columns[name] ?? []))
    .filter((value) => given(value) && (!log || value > 0));
  if (axis.ticks) values.push(...Object.values(axis.ticks));
  if (!values.length) return log ? [0.1, 1] : [0, 1];
  let low = d3.min(values), high = d3.max(values);
  const edged = marks.some((mark) => mark.columns.x1 && mark.kind !== "region" && mark.kind !== "spans");
  if (side === "x" && edged) return [low, high];
  if (log) return [low / 1.3, high * 1.5];
  const fromZero = side === "y" && marks.some((mark) => mark.kind === "steps") && low >= 0;
  const room = 0.05 * (high - low || Math.abs(high) || 1);
  return [fromZero ? 0 : low - room, high + room];
}

// Corners of a histogram's outline, from the foot up and down again at every gap.
function corners(rows, foot, lowest) {
  const points = [];
  let last = null;
  const up = (value) => (given(value) ? Math.max(value, lowest) : value);
  for (const { x1, x2, y } of rows) {
    if (!given(y)) { if (last) points.push({ x: last.x2, y: foot }, { x: last.x2, y: NaN }); last = null; continue; }
    if (!last || last.x2 !== x1) {
      if (last) points.push({ x: last.x2, y: foot }, { x: last.x2, y: NaN });
      points.push({ x: x1, y: foot });
    }
    points.push({ x: x1, y: up(y) }, { x: x2, y: up(y) });
    last = { x2 };
  }
  if (last) points.push({ x: last.x2, y: foot });
  return points;
}

// Plot's marks of one of ours. `look`: domains, groups' colours, the largest size in the chart.
function drawn(mark, look) {
  const rows = rowsOf(mark), stroke = painted(mark.color);
  const dash = mark.dashed ? "5,4" : undefined;
  const lowest = look.y.scale === "log" ? look.yDomain[0] : -Infinity;
  const foot = look.y.scale === "log" ? lowest : 0;
  const above = (name) => (row) => (given(row[name]) ? Math.max(row[name], lowest) : NaN);
  const at = (name) => (row) => row[name] ?? NaN;
  const [left, right] = look.xDomain, [bottom, top] = look.yDomain;
  const clip = true;
  switch (mark.kind) {
    case "line":
      return [
        Plot.line(rows, { x: at("x"), y: at("y"), stroke, strokeWidth: 1.7, strokeDasharray: dash, clip }),
        rows.length <= 20 && Plot.dot(rows.filter((row) => given(row.y)), { x: "x", y: "y", r: 2.4, fill: stroke }),
      ];
    case "band":
      return [Plot.areaY(rows, { x: at("x"), y1: above("low"), y2: above("high"), fill: stroke, fillOpacity: 0.3, clip })];
    case "steps": {
      const points = corners(rows, foot, lowest);
      const told = rows.filter((row) => given(row.low) && given(row.high));
      return [
        mark.filled && Plot.areaY(points, { x: "x", y1: foot, y2: "y", fill: stroke, fillOpacity: 0.3, clip }),
        told.length && Plot.rect(told, { x1: "x1", x2: "x2", y1: above("low"), y2: above("high"), fill: stroke, fillOpacity: 0.3, clip }),
        Plot.line(points, { x: "x", y: "y", stroke, strokeWidth: 1.5, strokeDasharray: dash, strokeLinejoin: "miter", clip }),
      ];
    }
    case "points": {
      const color = mark.columns.group ? (row) => look.groups.get(row.group) ?? stroke : stroke;
      const dense = rows.length > 400;
      const r = mark.columns.size
        ? (row) => Math.max(0.8, 11 * Math.sqrt(Math.max(row.size ?? 0, 0) / look.largest))
        : dense ? 1.6 : mark.bound ? 4 : 3;
      const open = mark.filled || !mark.dashed ? {} : { fill: "var(--paper)", stroke: color, strokeWidth: 1.3 };
      // A bound points down, to where its value may lie.
      const shape = mark.bound ? { symbol: "triangle2", rotate: 180 } : {};
      // What lies beyond the axes is put on their ends, as in the images.
      const within = (value, [from, to]) => Math.min(Math.max(value, Math.min(from, to)), Math.max(from, to));
      const seen = rows.filter((row) => given(row.x) && given(row.y))
        .map((row) => ({ ...row, x: within(row.x, look.xDomain), y: within(row.y, look.yDomain) }));
      return [
        mark.columns.low && Plot.link(seen.filter((row) => given(row.low) && given(row.high)),
          { x: "x", y1: above("low"), y2: above("high"), stroke: color, strokeWidth: 1.2, clip }),
        mark.columns.left && Plot.link(seen.filter((row) => given(row.left) && given(row.right)),
          { x1: "left", x2: "right", y: "y", stroke: color, strokeWidth: 1.2, clip }),
        Plot.dot(seen, { x: "x", y: "y", ...shape, r: typeof r === "number" ? r : { value: r, scale: null },
          fill: typeof color === "string" ? color : { value: color, scale: null },
          fillOpacity: dense || mark.columns.size ? 0.6 : 1, ...open, clip: dense || undefined }),
      ];
    }
    case "spans":
      return [Plot.link(rows, { x1: "x1", x2: "x2", y: "y", stroke, strokeWidth: mark.filled ? 7 : 2.4,
        strokeOpacity: mark.filled ? 1 : 0.75, strokeLinecap: "butt", clip })];
    case "cells": {
      const values = mark.columns.value.filter((value) => given(value) && value > 0);
      const low = d3.min(values) ?? 1, high = d3.max(values) ?? 1;
      const shade = (v) => (v > 0 ? 0.16 + 0.84 * (high > low ? Math.log(v / low) / Math.log(high / low) : 1) : 0);
      return [Plot.rect(rows, { x1: "x1", x2: "x2", y1: "y1", y2: "y2", fill: stroke, inset: -0.15,
        fillOpacity: { value: (row) => shade(row.value), scale: null }, clip })];
    }
    case "rule":
      return [mark.columns.x
        ? Plot.ruleX(mark.columns.x.filter(given), { stroke, strokeWidth: 1.3, strokeDasharray: dash, clip })
        : Plot.ruleY(mark.columns.y.filter(given), { stroke, strokeWidth: 1.3, strokeDasharray: dash, clip })];
    case "region":
      return [Plot.rect(rows, { x1: (row) => row.x1 ?? left, x2: (row) => row.x2 ?? right,
        y1: (row) => row.y1 ?? bottom, y2: (row) => row.y2 ?? top, fill: stroke, fillOpacity: 0.22, clip })];
    default:
      throw new Error(`no such mark: ${mark.kind}`);
  }
}

// What is told when a pointer is at a row: where that is, a heading, and a line.
function tellings(mark, axes) {
  if (mark.kind === "rule" || mark.kind === "region") return [];
  const name = mark.name || axes.y.label;
  const line = (value, low, high) => `${name}: ${told(value)}`
    + (given(low) && given(high) ? ` (${told(low)} to ${told(high)})` : "");
  return rowsOf(mark).flatMap((row) => {
    const middle = (a, b, scale) => (scale === "log" && a > 0 ? Math.sqrt(a * b) : (a + b) / 2);
    switch (mark.kind) {
      case "line": return given(row.y) ? [{ x: row.x, y: row.y, says: line(row.y) }] : [];
      case "band": return mark.name && given(row.low)
        ? [{ x: row.x, y: (row.low + row.high) / 2, says: `${name}: ${told(row.low)} to ${told(row.high)}`, aside: true }] : [];
      case "steps": return given(row.y) ? [{ x: middle(row.x1, row.x2), y: row.y,
        head: `${told(row.x1)} to ${told(row.x2)}`, says: line(row.y, row.low, row.high) }] : [];
      case "points": {
        const who = [mark.name, row.group].filter(Boolean).join(", ");
        const across = given(row.left) && given(row.right) ? ` (${told(row.left)} to ${told(row.right)})` : "";
        const size = given(row.size) ? `\n${told(row.size)}` : "";
        const where = axes.y.ticks
          ? `${axes.x.label}: ${told(row.x)}${across}`
          : line(row.y, row.low, row.high).replace(name, who || axes.y.label) + size;
        return given(row.x) && given(row.y)
          ? [{ x: row.x, y: row.y, says: where + (row.text ? `\n${row.text}` : ""), scattered: Boolean(mark.columns.group || mark.columns.size) }] : [];
      }
      case "spans": return [{ x: middle(row.x1, row.x2), y: row.y, scattered: true,
        head: axes.y.ticks ? undefined : `${told(row.x1)} to ${told(row.x2)}`,
        says: (axes.y.ticks ? `${axes.x.label}: ${told(row.x2)}` : line(row.y)) + (row.text ? `\n${row.text}` : "") }];
      case "cells": return given(row.value) ? [{ x: middle(row.x1, row.x2, axes.x.scale), y: middle(row.y1, row.y2, axes.y.scale), scattered: true,
        head: `${told(row.x1)} to ${told(row.x2)}\n${told(row.y1)} to ${told(row.y2)}`, says: row.text ?? line(row.value) }] : [];
      default: return [];
    }
  });
}
