/** Style sheet of reports. Colours reach 4.5:1 as text and 3:1 as marks, in light and in dark. */
export const STYLE = `
:root {
  --page: #f6f7f9; --card: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d5dae0; --hover: #eef2f6; --link: #0a58b8;
  --good: #14692d; --good-back: #dcf5e3; --bad: #b3202a; --bad-back: #fde5e5;
  --added: #1a7f37; --added-back: #d8f5df; --removed: #c62832; --removed-back: #fde0e0;
  --structure: #8a5a00; --structure-back: #fdeec3; --quant: #7a3fd1; --quant-back: #eadfff;
  --weights: #0a62c9; --weights-back: #d8e9ff; --numeric: #b1297c; --numeric-back: #ffe0f1;
  --same: #8c959f; --same-back: #fff; --same-cell: #cfd5dc;
  --c0: #0a62c9; --c1: #c8590f; --c2: #7a3fd1; --c3: #1a7f37; --c4: #b1297c; --c5: #57606a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1318; --card: #171c23; --ink: #e6eaef; --soft: #9aa5b1; --line: #323a45; --hover: #212833; --link: #79b8ff;
    --good: #5fd07f; --good-back: #12331d; --bad: #ff8a86; --bad-back: #43191c;
    --added: #4cc46b; --added-back: #14361f; --removed: #ff7b76; --removed-back: #481c1f;
    --structure: #e0aa3a; --structure-back: #3f300d; --quant: #b490ff; --quant-back: #31214f;
    --weights: #6cb2ff; --weights-back: #11305a; --numeric: #f286c4; --numeric-back: #471a36;
    --same: #7d8894; --same-back: #171c23; --same-cell: #414b57;
    --c0: #6cb2ff; --c1: #f2975a; --c2: #b490ff; --c3: #4cc46b; --c4: #f286c4; --c5: #9aa5b1;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0 auto; max-width: 1320px; padding: 0 20px 40px; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1, h2, h3, p { margin: 0; }
h1 { font-size: 26px; line-height: 1.25; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin-bottom: 14px; }
h3 { font-size: 15px; }
a { color: var(--link); }
code, .op, .label, dd { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font-size: 13px; overflow-wrap: anywhere; }
.drop { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 16px; margin-top: 12px; padding: 8px 14px; border: 1px dashed var(--same); border-radius: 10px; font-size: 13.5px; }
.drop input { font: inherit; color: var(--soft); max-width: 100%; }
.drop [role="status"] { font-weight: 600; overflow-wrap: anywhere; white-space: pre-line; }
.drop [role="status"]:empty { display: none; }
.is-over .drop { border-color: var(--link); background: var(--hover); outline: 2px solid var(--link); }
header { padding: 26px 0 8px; }
.product { font-weight: 700; color: var(--soft); letter-spacing: 0.04em; }
.lead { color: var(--soft); margin-top: 4px; overflow-wrap: anywhere; }
.verdict { display: inline-block; margin-top: 12px; padding: 5px 14px; border-radius: 999px; font-weight: 600; }
.good.verdict { color: var(--good); background: var(--good-back); }
.bad.verdict { color: var(--bad); background: var(--bad-back); }
nav ul { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; padding: 0; margin: 14px 0 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 18px 20px 20px; margin-top: 18px; min-width: 0; }
footer { color: var(--soft); margin-top: 22px; font-size: 13px; }
.note, figcaption p, .hint { color: var(--soft); font-size: 13px; }
.note { margin: 4px 0 10px; }
.table:last-child .note, section > .note:last-child { margin-bottom: 0; }
.failures { margin: 0 0 14px; padding: 10px 14px 10px 30px; border-radius: 8px; color: var(--bad); background: var(--bad-back); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(158px, 1fr)); gap: 12px; list-style: none; margin: 0 0 16px; padding: 0; }
.tile { border: 1px solid var(--line); border-radius: 10px; padding: 10px 14px; display: flex; flex-direction: column; min-width: 0; overflow-wrap: anywhere; }
.tile .label { font: inherit; font-size: 13px; color: var(--soft); }
.tile .value { font-size: 23px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile .of { font-size: 12.5px; color: var(--soft); }
.tile.good .value { color: var(--good); }
.tile.bad .value { color: var(--bad); }
.table + .table, .table + h3, .table + .charts, .charts + .table, .tiles + .table { margin-top: 14px; }
.scroll { overflow: auto; max-height: 520px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th { position: sticky; top: 0; background: var(--card); text-align: left; padding: 6px 10px 6px 0; font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--line); white-space: nowrap; }
th button { all: unset; display: block; width: 100%; box-sizing: border-box; cursor: pointer; }
th button:hover { color: var(--ink); }
th button::after { content: "\\2009↕"; content: "\\2009↕" / ""; opacity: 0.3; }
th[aria-sort="ascending"] button::after { content: "\\2009↑"; content: "\\2009↑" / ""; opacity: 1; }
th[aria-sort="descending"] button::after { content: "\\2009↓"; content: "\\2009↓" / ""; opacity: 1; }
td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: break-word; min-width: 56px; }
td.wide { overflow-wrap: anywhere; }
td:not(.wide) code { overflow-wrap: break-word; }
tbody tr:hover { background: var(--hover); }
th.number, td.number { text-align: right; white-space: nowrap; }
th.number button { text-align: right; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
input[type="search"], .toolbar button { font: inherit; font-size: 13.5px; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 7px; padding: 4px 10px; min-height: 32px; }
.toolbar button { cursor: pointer; }
.toolbar button:hover { background: var(--hover); }
.table > input { margin-bottom: 8px; width: min(280px, 100%); }
.toolbar { display: flex; flex-wrap: wrap; gap: 8px; margin-bottom: 10px; }
.toolbar input { flex: 1 1 150px; max-width: 280px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; list-style: none; margin: 0 0 10px; padding: 0; font-size: 13px; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: 6px; }
.swatch { width: 16px; height: 16px; border-radius: 4px; border: 1.5px solid var(--same); background: var(--same-back); display: inline-flex; align-items: center; justify-content: center; font: 700 11px/1 ui-monospace, monospace; color: var(--ink); }
.kind { display: inline-block; padding: 0 8px; border-radius: 999px; font-size: 12.5px; border: 1px solid; white-space: nowrap; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 520px), 1fr)); gap: 26px; }
.chart { margin: 0; min-width: 0; }
.chart figcaption { position: relative; padding-right: 34px; }
.enlarge { all: unset; position: absolute; top: 0; right: 0; width: 28px; height: 26px; text-align: center; border-radius: 6px; color: var(--soft); cursor: pointer; }
.enlarge:hover { background: var(--hover); color: var(--ink); }
.enlarge:focus-visible { outline: 2px solid var(--link); }
.chart:fullscreen, .picture:fullscreen, .is-full { background: var(--card); color: var(--ink); padding: 18px 20px; overflow: auto; }
.is-full { position: fixed; inset: 0; z-index: 2; }
.has-full { overflow: hidden; }
.chart:fullscreen svg, .chart.is-full svg { min-width: 0; height: min(72vh, 42vw); }
.picture:fullscreen, .picture.is-full { --stage: calc(100vh - 150px); }
.chart .scroll { margin-top: 6px; max-height: none; }
.chart svg { display: block; width: 100%; min-width: 480px; height: auto; }
.chart details { margin-top: 4px; font-size: 13px; }
td ul { margin: 4px 0; padding-left: 18px; }
summary { cursor: pointer; color: var(--soft); }
.tick { font-size: 11px; fill: var(--soft); }
.row { font-size: 12.5px; fill: var(--ink); font-variant-numeric: tabular-nums; }
.row.end { text-anchor: end; }
.axis { font-size: 12px; fill: var(--soft); }
.grid { stroke: var(--line); stroke-width: 0.7; }
.base { stroke: var(--soft); }
.line { fill: none !important; stroke-width: 1.8; }
.spread { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.spread.casing { stroke: var(--card); stroke-width: 4.6; }
.ring { fill: none; stroke: var(--c1); stroke-width: 2.2; }
.mark { stroke: var(--card); stroke-width: 0.8; }
.stage { display: grid; grid-template-columns: 190px minmax(0, 1fr) minmax(210px, 270px); gap: 14px; }
.map { list-style: none; margin: 0; padding: 0; overflow: auto; max-height: var(--stage, min(74vh, 780px)); }
.map button { all: unset; box-sizing: border-box; display: grid; grid-template-columns: 1fr auto; gap: 1px 6px; width: 100%; padding: 3px 8px; border-radius: 6px; font-size: 12.5px; color: var(--soft); cursor: pointer; }
.map button:hover { background: var(--hover); }
.map button:focus-visible { outline: 2px solid var(--link); outline-offset: -2px; }
.map button[aria-expanded="true"] { background: var(--hover); color: var(--ink); }
.map .marked { color: var(--ink); font-weight: 650; }
.map .count { font-weight: 650; font-variant-numeric: tabular-nums; }
.map svg { grid-column: 1 / -1; display: block; width: 100%; height: 7px; }
.canvas { height: var(--stage, min(74vh, 780px)); overflow: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--page); padding: 12px; cursor: grab; }
.canvas:active { cursor: grabbing; }
.graph { display: block; margin: 0 auto; }
.chosen { overflow: auto; max-height: var(--stage, min(74vh, 780px)); }
.chosen dl { margin: 0; }
.chosen dt { color: var(--soft); font-size: 12.5px; margin-top: 8px; }
.chosen dt:first-child { margin-top: 0; }
.chosen dd { margin: 0; font-size: 12.5px; overflow-wrap: anywhere; }
.chosen figure { margin: 12px 0 0; }
.chosen figcaption { font-size: 12.5px; color: var(--soft); overflow-wrap: anywhere; }
.chosen details { font-size: 12.5px; }
.chosen details ul { margin: 4px 0; padding-left: 18px; font-variant-numeric: tabular-nums; }
value-histogram { display: block; }
value-histogram svg { display: block; width: 100%; max-width: 420px; height: auto; margin-top: 4px; }
value-histogram .hint { font-size: 12px; }
.bar { fill: var(--c0); }
.held { fill: var(--hover); }
.limit { stroke: var(--c1); stroke-width: 1.2; stroke-dasharray: 4 2; }
.tick.last { text-anchor: end; }
.graph text { fill: var(--ink); font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; pointer-events: none; }
.graph .title { font: 600 14px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.graph .summary { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--soft); text-anchor: end; }
.graph .op { font-weight: 700; }
.graph .label { fill: var(--soft); }
.graph .middle { text-anchor: middle; }
.graph .symbol { text-anchor: end; font-weight: 700; font-size: 13px; }
.frame { fill: var(--card); stroke: var(--line); }
.group.marked > .frame { stroke: var(--soft); stroke-width: 1.6; }
.grip { fill: transparent; }
.l-far > .frame { stroke: var(--removed); stroke-width: 1.6; }
.l-lowest > .frame { stroke: var(--structure); stroke-width: 1.6; }
.l-far > .head .grip { fill: var(--removed-back); }
.l-lowest > .head .grip { fill: var(--structure-back); }
.map .l-far .count { color: var(--removed); } .map .l-lowest .count { color: var(--structure); }
.swatch.l-far { background: var(--removed-back); border-color: var(--removed); color: var(--removed); }
.swatch.l-lowest { background: var(--structure-back); border-color: var(--structure); color: var(--structure); }
.head[role="button"], .node { cursor: pointer; }
.head[role="button"]:hover .grip { fill: var(--hover); }
.twist { fill: var(--soft); }
.cell { stroke: none !important; fill: var(--same-cell); }
.box { stroke-width: 1.3; }
.node:hover .box { stroke-width: 2.2; }
.node.is-chosen .box { stroke-width: 3; }
.box.s-removed { stroke-dasharray: 5 3; }
.pill { fill: transparent; stroke: var(--line); }
.edge { fill: none; stroke-width: 1.2; }
.edge.e-removed { stroke-dasharray: 5 3; }
.link { stroke-width: 1.6; }
.e-same { stroke: var(--same); } .e-added { stroke: var(--added); } .e-removed { stroke: var(--removed); }
.arrow { stroke: none; } .arrow.e-same { fill: var(--same); } .arrow.e-added { fill: var(--added); } .arrow.e-removed { fill: var(--removed); }
${states()}
${series()}
@media (max-width: 800px) {
  body { padding: 0 10px 30px; }
  h1 { font-size: 21px; }
  section { padding: 14px 12px; border-radius: 10px; }
  .stage { grid-template-columns: minmax(0, 1fr); }
  .map { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); max-height: 190px; }
  .canvas { height: 62vh; padding: 6px; }
  .chosen { max-height: none; }
  .wide { min-width: 240px; }
  .tiles { grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: 8px; }
  .tile { padding: 8px 10px; }
  .tile .value { font-size: 19px; }
}
@media (max-width: 560px) {
  /* A plot is half as wide here as it was drawn: letters stay as large as they were. */
  .chart svg { min-width: 0; }
  .chart .tick, .chart .axis { font-size: 17px; }
  .chart .row { font-size: 20px; }
}
@media print { section { break-inside: avoid; } .toolbar, nav, .enlarge, .drop { display: none; } .scroll, .canvas { max-height: none; height: auto; } }
`;

/** Rules for the states of nodes: the colours of a line and a background. */
function states(): string {
  const colours = {
    added: 'added',
    removed: 'removed',
    structure: 'structure',
    quant: 'quant',
    weights: 'weights',
    numeric: 'numeric',
    same: 'same',
    integer: 'weights',
    stored: 'quant',
    half: 'structure',
    float: 'same',
    other: 'same',
  };
  return Object.entries(colours)
    .map(([state, colour]) => {
      const [line, back] = [`var(--${colour})`, `var(--${colour}-back)`];
      const fill = colour === 'same' ? 'var(--same-cell)' : line;
      return [
        `.box.s-${state} { fill: ${back}; stroke: ${line}; }`,
        `.node .s-${state} ~ .symbol { fill: ${line}; }`,
        `.cell.s-${state}, .mark.s-${state} { fill: ${fill}; }`,
        `.swatch.s-${state} { background: ${back}; border-color: ${line}; color: ${line}; }`,
        `.kind.s-${state} { background: ${back}; color: ${line}; }`,
      ].join('\n');
    })
    .join('\n');
}

function series(): string {
  return [0, 1, 2, 3, 4, 5]
    .map(
      (i) =>
        `.mark.c${i} { fill: var(--c${i}); } .line.c${i} { stroke: var(--c${i}); } .swatch.c${i} { background: var(--c${i}); border-color: var(--c${i}); }`,
    )
    .join('\n');
}
