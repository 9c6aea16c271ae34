"use strict";
(() => {
  const data = JSON.parse(document.getElementById("series").textContent);
  const LIGHT = {
    text: "#1c2330", soft: "#5a6575", grid: "#e3e6eb",
    lines: ["#0b57d0", "#d9480f", "#7b2cbf", "#1a7f4b", "#8a6100", "#c62828"],
  };
  const DARK = {
    text: "#e4e8ee", soft: "#9aa7b8", grid: "#2b333f",
    lines: ["#8ab4f8", "#ff9e64", "#c9a2f5", "#5fd39a", "#e0c060", "#ff8a80"],
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const PAPER = 690; // pixels that fit the width of a page
  let plots = [];

  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const elapsed = (seconds) => {
    const hours = Math.floor(seconds / 3600), rest = `${two((seconds % 3600) / 60)}:${two(seconds % 60)}`;
    return hours ? `${hours}:${rest}` : rest;
  };
  const number = (value) => {
    if (value === null || value === undefined) return "";
    return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 });
  };
  // the clock time of a moment of sending, which stood still between the runs
  const clock = (seconds) => {
    const run = data.runs.filter((run) => run.at <= seconds + 0.001).pop();
    if (!run) return "";
    return new Date((run.began + seconds - run.at) * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC";
  };

  function line(colours, series, place) {
    const stroke = colours.lines[series.colour ?? place];
    return {
      label: series.label, stroke, width: series.dash ? 1.5 : 1.75, dash: series.dash ? [6, 4] : undefined,
      fill: series.fill ? stroke + "22" : undefined, value: (_, value) => number(value), spanGaps: false,
      points: { show: data.x.length < 3, size: 6 },
    };
  }

  // a dashed line where the job was resumed
  function resumes(colours) {
    return (plot) => {
      const context = plot.ctx;
      context.save();
      context.strokeStyle = context.fillStyle = colours.soft;
      context.font = `${11 * uPlot.pxRatio}px system-ui, sans-serif`;
      context.textAlign = "left";
      context.setLineDash([2 * uPlot.pxRatio, 3 * uPlot.pxRatio]);
      for (const run of data.runs.slice(1)) {
        const x = plot.valToPos(run.at, "x", true);
        context.beginPath();
        context.moveTo(x, plot.bbox.top);
        context.lineTo(x, plot.bbox.top + plot.bbox.height);
        context.stroke();
        context.fillText("resumed", x + 4 * uPlot.pxRatio, plot.bbox.top + 26 * uPlot.pxRatio);
      }
      context.restore();
    };
  }

  function draw(element, chart, colours, width) {
    const axis = { stroke: colours.soft, grid: { stroke: colours.grid, width: 1 }, ticks: { stroke: colours.grid, width: 1 } };
    const options = {
      width, height: 210, cursor: { sync: { key: "time" }, drag: { x: true, y: false } },
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map(elapsed), space: 70,
          incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 604800] },
        { ...axis, values: (_, ticks) => ticks.map(number), size: 58 },
      ],
      series: [
        { label: "Time", value: (_, value) => (value === null ? "" : `${elapsed(value)}, ${clock(value)}`) },
        ...chart.series.map((series, place) => line(colours, series, place)),
      ],
      hooks: { draw: [resumes(colours)] },
    };
    return new uPlot(options, [data.x, ...chart.series.map((series) => series.values)], element);
  }

  function drawAll(colours, width) {
    for (const plot of plots) plot.destroy();
    plots = data.charts.map((chart) => {
      const element = document.getElementById(chart.id);
      return draw(element, chart, colours, width || element.clientWidth);
    });
  }

  const forScreen = () => drawAll(dark.matches ? DARK : LIGHT, 0);

  function search() {
    const field = document.getElementById("search"), shown = document.getElementById("found");
    if (!field) return;
    const examples = [...document.querySelectorAll(".example")];
    const texts = examples.map((example) => example.textContent.toLowerCase());
    const groups = [...document.querySelectorAll(".reason")];
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      examples.forEach((example, place) => {
        const group = example.closest(".reason").dataset.names;
        example.hidden = !words.every((word) => texts[place].includes(word) || group.includes(word));
        found += !example.hidden;
      });
      for (const group of groups) {
        const some = [...group.querySelectorAll(".example")].some((example) => !example.hidden);
        const named = words.every((word) => group.dataset.names.includes(word));
        group.hidden = words.length > 0 && !some && !named;
        group.open = words.length > 0 && some;
      }
      shown.textContent = words.length ? `${found} of the ${examples.length} examples in this page match` : "";
    });
  }

  // paper shows the first examples of each reason
  function openForPaper() {
    const groups = [...document.querySelectorAll(".reason")];
    addEventListener("beforeprint", () => groups.forEach((group) => { group.dataset.was = group.open; group.open = true; }));
    addEventListener("afterprint", () => groups.forEach((group) => { group.open = group.dataset.was === "true"; }));
  }

  search();
  openForPaper();
  if (!data.charts.length) return;
  forScreen();
  dark.addEventListener("change", forScreen);
  let width = document.body.clientWidth;
  addEventListener("resize", () => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    for (const plot of plots) plot.setSize({ width: plot.root.parentElement.clientWidth, height: 210 });
  });
  addEventListener("beforeprint", () => drawAll(LIGHT, PAPER));
  addEventListener("afterprint", forScreen);
})();
