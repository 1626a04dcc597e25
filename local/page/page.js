// Shows the events that the server sends. The name of a file is only ever set as text.

const EDGES = [
  ["bucket", "notify"],
  ["notify", "claim"],
  ["notify", "twilio"],
  ["notify", "held"],
  ["notify", "failed"],
  ["held", "flush"],
  ["flush", "twilio"],
  ["flush", "failed"],
  ["twilio", "phone"],
];
const MAX_DOTS = 60;
const STEP_MILLISECONDS = 450;
const ANNOUNCE_MILLISECONDS = 1500; // how often a screen reader announces texts

const find = (selector) => document.querySelector(selector);
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const journey = find(".journey");
const screen = find(".screen");

let texts = [];
let phones = [];
let shownPhone = "";
let price = { dollars: 0, source: "" };
let unannounced = 0;
let announcing;

// The diagram

function center(station) {
  const box = find(`#${station}`).getBoundingClientRect();
  const whole = journey.getBoundingClientRect();
  return { x: box.x - whole.x + box.width / 2, y: box.y - whole.y + box.height / 2 };
}

function drawLines() {
  find(".lines").replaceChildren(
    ...EDGES.map(([from, to]) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      const [start, end] = [center(from), center(to)];
      line.setAttribute("x1", start.x);
      line.setAttribute("y1", start.y);
      line.setAttribute("x2", end.x);
      line.setAttribute("y2", end.y);
      return line;
    }),
  );
}

function showCounts(counts) {
  for (const [station, count] of Object.entries(counts)) {
    const shown = find(`#${station}`);
    shown.querySelector(".count").textContent = count.toLocaleString("en");
    shown.classList.toggle("nonzero", count > 0);
  }
}

function move(path) {
  const dots = find(".dots");
  if (reducedMotion.matches || document.hidden || dots.childElementCount >= MAX_DOTS) return;
  const dot = document.createElement("i");
  dots.append(dot);
  const frames = path.map(center).map(({ x, y }) => ({ transform: `translate(${x}px, ${y}px)` }));
  const moving = dot.animate(frames, {
    duration: STEP_MILLISECONDS * (path.length - 1),
    easing: "ease-in-out",
  });
  moving.onfinish = () => dot.remove();
}

// The phone

function cost(segments) {
  const dollars = segments * price.dollars;
  return `$${dollars < 1 ? dollars.toFixed(4) : dollars.toFixed(2)}`;
}

function plural(number, one) {
  return `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
}

function textElement(text, isNew) {
  const item = document.createElement("li");
  item.classList.toggle("new", isNew);
  const body = document.createElement("p");
  body.textContent = text.body;
  const about = document.createElement("small");
  const time = new Date(text.time).toLocaleTimeString("en-GB");
  const parts = [time, plural(text.segments, "segment"), cost(text.segments)];
  if (text.status !== "delivered") parts.push(text.status);
  about.textContent = parts.join(" · ");
  item.append(body, about);
  return item;
}

function showTabs() {
  const known = [...new Set([...phones, ...texts.map((text) => text.to)])];
  if (!known.includes(shownPhone)) shownPhone = known[0] ?? "";
  const tabs = find(".tabs");
  const focused = tabs.contains(document.activeElement);
  tabs.replaceChildren(
    ...known.map((phone) => {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.role = "tab";
      tab.id = `tab-${phone.replace(/\D/g, "")}`;
      tab.textContent = phone;
      tab.setAttribute("aria-selected", String(phone === shownPhone));
      tab.setAttribute("aria-controls", "screen");
      tab.tabIndex = phone === shownPhone ? 0 : -1;
      tab.onclick = () => showPhone(phone);
      return tab;
    }),
  );
  const selected = tabs.querySelector('[aria-selected="true"]');
  if (selected) screen.setAttribute("aria-labelledby", selected.id);
  if (focused) selected?.focus();
}

function showPhone(phone) {
  shownPhone = phone;
  showTabs();
  const received = texts.filter((text) => text.to === phone);
  find(".texts").replaceChildren(...received.map((text) => textElement(text, false)));
  find(".sender").textContent = received[0]?.from ?? "Messages";
  screen.scrollTop = screen.scrollHeight;
}

function showCost() {
  const segments = texts.reduce((sum, text) => sum + text.segments, 0);
  find(".cost").textContent = texts.length
    ? `${plural(texts.length, "text")}, ${plural(segments, "segment")}: ${cost(segments)}`
    : "";
  find(".price").textContent = `$${price.dollars}: ${price.source}`;
}

function addText(text) {
  texts.push(text);
  if (!find(`#tab-${text.to.replace(/\D/g, "")}`)) showTabs();
  if (text.to === shownPhone) {
    const atEnd = screen.scrollHeight - screen.scrollTop - screen.clientHeight < 80;
    find(".texts").append(textElement(text, true));
    find(".sender").textContent = text.from;
    if (atEnd) screen.scrollTop = screen.scrollHeight;
  }
  showCost();
  unannounced += 1;
  if (unannounced === 1) announcing = setTimeout(announce, ANNOUNCE_MILLISECONDS, text);
}

function announce(first) {
  const message = unannounced === 1 ? `A text to ${first.to}: ${first.body}` : `${unannounced} new texts`;
  unannounced = 0;
  showMessage(message);
}

function showMessage(message) {
  find("#message").textContent = message;
}

find(".tabs").onkeydown = (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const tabs = [...find(".tabs").children];
  const at = tabs.findIndex((tab) => tab.ariaSelected === "true");
  if (step) showPhone(tabs[(at + step + tabs.length) % tabs.length].textContent);
};

// Controls

function showControls(controls) {
  for (const name of ["twilio_down", "lost_answers", "quiet_hours", "opted_out"]) {
    find(`[data-action="${name}"]`).setAttribute("aria-pressed", String(controls[name]));
  }
  phones = controls.phones;
  showTabs();
}

async function post(path, body) {
  try {
    const answer = await fetch(path, { method: "POST", body });
    return await answer.text();
  } catch {
    return "The demo is no longer running. Start it again: make demo";
  }
}

for (const button of document.querySelectorAll("[data-action]")) {
  button.onclick = async () => {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    showMessage(`${button.textContent} …`);
    showMessage(await post(`/${button.dataset.action}`));
    if (button.dataset.action === "flush") {
      // The answer already reports the texts, and those that are still held.
      clearTimeout(announcing);
      unannounced = 0;
    }
    button.ariaBusy = "false";
  };
}

async function upload(files) {
  for (const file of files) {
    showMessage(`Uploading ${file.name} …`);
    showMessage(await post(`/files?name=${encodeURIComponent(file.name)}`, file));
  }
}

find("#files").onchange = async (event) => {
  await upload([...event.target.files]);
  event.target.value = "";
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
};
document.ondragleave = () => document.body.classList.remove("dragging");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  upload([...event.dataTransfer.files]);
};

// Events

const show = {
  state(event) {
    ({ texts, price } = event);
    showCounts(event.counts);
    showControls(event.controls);
    showPhone(shownPhone);
    showCost();
    document.body.dataset.live = "true";
  },
  text: (event) => addText(event.text),
  controls: (event) => showControls(event.controls),
  move(event) {
    move(event.path);
    showCounts(event.counts);
  },
};

const events = new EventSource("/events");
events.onmessage = ({ data }) => {
  const event = JSON.parse(data);
  show[event.kind](event);
};
events.onerror = () => {
  delete document.body.dataset.live;
  showMessage("The demo is no longer running. Start it again: make demo");
};
new ResizeObserver(drawLines).observe(journey);
