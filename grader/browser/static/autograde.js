// Shows every assignment of the course with its grading, and starts and stops it.
// Names and messages come from outside: they are only ever set as text.
"use strict";

const POLL_MS = 700; // while a class is being graded, and else
const IDLE_MS = 5000;
const panels = new Map();
const byId = (id) => document.getElementById(id);
const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
const needLook = (n) => (n === 1 ? "1 needs a look" : `${n} need a look`);
const isActive = (run) => run?.state === "waiting" || run?.state === "running";
const inFormgrader = (page, name) => `../formgrader/${page}/${encodeURIComponent(name)}`;
let timer;

async function ask(method, path, body) {
  const xsrf = document.cookie.match(/\b_xsrf=([^;]*)/)?.[1] ?? "";
  const headers = { "X-XSRFToken": xsrf };
  const options = { method, headers, body: body && JSON.stringify(body) };
  const answer = await fetch(`api/${path}`, options);
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(data.message || `the server answered ${answer.status}`);
  return data;
}

function report(error) {
  byId("error").hidden = !error;
  byId("error").textContent = error ? `${error.message}` : "";
}

async function refresh() {
  clearTimeout(timer);
  let wait = IDLE_MS;
  try {
    const { course, assignments } = await ask("GET", "assignments");
    byId("course").textContent = course;
    for (const assignment of assignments) {
      if (!panels.has(assignment.name)) panels.set(assignment.name, newPanel(assignment.name));
      show(panels.get(assignment.name), assignment);
    }
    report(assignments.length ? null : new Error("This course has no assignments yet."));
    if (assignments.some(({ run }) => isActive(run))) wait = POLL_MS;
  } catch (error) {
    report(error);
  }
  clearTimeout(timer);
  timer = setTimeout(refresh, wait);
}

function newPanel(name) {
  const panel = document.querySelector("template").content.firstElementChild.cloneNode(true);
  const part = (selector) => panel.querySelector(selector);
  const press = (selector, method, body) => {
    part(selector).setAttribute("aria-label", `${part(selector).textContent}: ${name}`);
    part(selector).onclick = async () => {
      // one click, one order
      for (const button of panel.querySelectorAll("button")) button.disabled = true;
      const failed = await ask(method, `autograde/${encodeURIComponent(name)}`, body).catch((e) => e);
      await refresh();
      if (failed instanceof Error) report(failed);
    };
  };
  press(".start", "POST", { force: false });
  press(".again", "POST", { force: true });
  press(".stop", "DELETE");
  part("h2").textContent = name;
  part("progress").setAttribute("aria-label", `Graded of ${name}`);
  part(".counts").href = inFormgrader("manage_submissions", name);
  part(".to-look-at").href = inFormgrader("gradebook", name);
  byId("assignments").append(panel);
  return panel;
}

function show(panel, { name, submitted, graded, to_look_at, run }) {
  const part = (selector) => panel.querySelector(selector);
  const active = isActive(run);
  part(".counts").textContent = `${submitted} submitted, ${graded} graded`;
  part(".to-look-at").textContent = needLook(to_look_at);
  part(".start").disabled = part(".again").disabled = active || submitted === 0;
  part(".stop").disabled = !active;
  part(".run").hidden = !run;
  if (!run) return;
  const bar = part("progress");
  bar.max = run.total || 1;
  // without a value the bar shows that something is going on, but not how far it is
  if (run.total) bar.value = run.done;
  else if (active) bar.removeAttribute("value");
  else bar.value = 0;
  part(".line").textContent = active ? progressLine(run) : resultLine(run, to_look_at);
  const recent = run.recent.filter(({ problem }) => !problem).reverse();
  const rows = [...run.problems.map(problemRow), ...recent.map(gradedRow)];
  part(".students").replaceChildren(...rows);
  if (panel.dataset.state !== run.state) {
    panel.dataset.state = run.state;
    byId("news").textContent = `${name}: ${part(".line").textContent}`;
  }
}

function progressLine(run) {
  if (run.state === "waiting") return "Waits until another class is graded";
  if (!run.total) return "Starting …";
  const words = [`${run.done} of ${run.total}`];
  if (run.seconds_each) {
    words.push(`${(60 / run.seconds_each).toPrecision(2)} per minute`);
    words.push(`about ${duration(run.seconds_left)} left`);
  }
  return words.concat(problemWords(run)).join(" · ");
}

function resultLine(run, to_look_at) {
  const what = { finished: "Finished", stopped: "Stopped", failed: "Failed" }[run.state];
  const words = [`${what} after ${duration(run.seconds)}`];
  if (run.total) words.push(`${run.done} of ${run.total}`);
  if (run.skipped) words.push(`${run.skipped} unchanged since before`);
  words.push(...problemWords(run), needLook(to_look_at));
  return words.concat(run.error || []).join(" · ");
}

function problemWords(run) {
  return run.num_problems ? [`${count(run.num_problems, "submission")} could not be graded`] : [];
}

function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

function row(kind, ...cells) {
  const line = document.createElement("tr");
  line.className = kind;
  for (const text of cells) line.insertCell().textContent = text;
  return line;
}

const problemRow = ({ student, problem }) => row("danger", student, problem);

const gradedRow = ({ student, score, max, skipped }) =>
  row("", student, `${score} of ${max}${skipped ? ", unchanged since before" : ""}`);

refresh();
