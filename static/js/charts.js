/* ECharts from JSON that stands in the page; colours come from the style sheet and follow the theme.
   <figure class="chart" data-chart="line" data-source="#losses" aria-label="..."></figure> */
const LIBRARY = document.querySelector('script[src*="echarts"]');
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const TONES = { accent: "accent", grey: "control", good: "good", warn: "warn", bad: "bad", worse: "worse", ink: "ink" };
const charts = new Map();

function axis(extra) {
  return {
    axisLine: { show: false }, axisTick: { show: false }, splitLine: { lineStyle: { color: colour("line") } },
    axisLabel: { color: colour("ink-3"), fontSize: 12, hideOverlap: true },
    nameTextStyle: { color: colour("ink-3"), fontSize: 12 }, nameLocation: "middle", nameGap: 24, ...extra,
  };
}

function series(entry, { kind, x }) {
  const paint = colour(TONES[entry.tone] ?? "accent");
  const values = entry.values.map((value, place) => (kind === "scatter" ? value : [x[place], value]));
  const common = { name: entry.name, data: values, animation: false, itemStyle: { color: paint } };
  if (kind === "bars") return { ...common, type: "bar", barCategoryGap: "10%" };
  if (kind === "scatter") return { ...common, type: "scatter", symbolSize: 7 };
  const dot = entry.mark ?? values.length - 1;
  return { ...common, type: "line", symbol: "circle", showSymbol: true, showAllSymbol: true,
    symbolSize: (_, at) => (at.dataIndex === dot && !entry.dashed ? 8 : entry.links ? 5 : 0),
    lineStyle: { color: paint, width: 2, type: entry.dashed ? "dashed" : "solid" } };
}

/* Steps that end on 1: the library's own, of 0.3, would write 0.9 and 1 on one another. */
function stepsToOne(facts) {
  if (facts.y_max !== 1) return {};
  const low = facts.y_min ?? Math.min(1, ...facts.series.flatMap((entry) => entry.values).filter(Number.isFinite));
  const interval = low < 0.5 ? 0.25 : 0.1;
  return { interval, min: Number((Math.floor(low / interval + 1e-9) * interval).toFixed(2)) };
}

function options(facts, kind) {
  const isCategory = kind === "bars" || facts.x?.some((value) => typeof value === "string");
  const x = { name: facts.x_name, type: isCategory ? "category" : "value", splitLine: { show: false }, min: isCategory ? null : "dataMin", max: facts.x_max ?? (isCategory ? null : "dataMax") };
  if (isCategory) x.data = facts.x;
  return {
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily }, aria: { enabled: false },
    grid: { left: 8, right: 16, top: 12, bottom: facts.x_name ? 28 : 8, containLabel: true },
    tooltip: { trigger: kind === "scatter" ? "item" : "axis", renderMode: "richText", confine: true, // html tooltips need inline styles
      backgroundColor: colour("surface"), borderColor: colour("control"), textStyle: { color: colour("ink"), fontSize: 12 } },
    xAxis: axis(x), yAxis: axis({ type: "value", min: facts.y_min ?? null, max: facts.y_max ?? null, scale: true, splitNumber: 3, ...stepsToOne(facts) }),
    series: facts.series.map((entry) => series(entry, { kind, x: facts.x ?? [] })),
  };
}

export function render(figure) {
  const source = document.querySelector(figure.dataset.source);
  if (!source || !window.echarts) return;
  const facts = JSON.parse(source.textContent);
  let chart = charts.get(figure);
  if (!chart) {
    chart = window.echarts.init(figure, null, { renderer: "canvas" });
    charts.set(figure, chart);
    new ResizeObserver(() => chart.resize()).observe(figure);
    figure.setAttribute("role", "img");
    chart.on("click", (mark) => {
      const link = figure.facts.series[mark.seriesIndex].links?.[mark.dataIndex];
      if (link) location.assign(link);
    });
  }
  figure.facts = facts;
  chart.setOption(options(facts, figure.dataset.chart), true);
}

function forget() {
  for (const [figure, chart] of charts) if (!figure.isConnected) { chart.dispose(); charts.delete(figure); }
}

function find(root) {
  forget();
  if (root.matches?.("[data-chart]")) render(root);
  for (const figure of root.querySelectorAll("[data-chart]")) render(figure);
}

function start() {
  find(document);
  document.addEventListener("winnow:theme", () => { for (const figure of charts.keys()) render(figure); });
  document.addEventListener("htmx:load", (event) => find(event.target));
}

if (window.echarts) start();
else LIBRARY?.addEventListener("load", start);
