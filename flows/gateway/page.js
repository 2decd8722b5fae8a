"use strict";
// All that a model or a document says is put in as text, never as markup.
const at = (id) => document.getElementById(id);
let turns = [];
let asking = null;

function add(parent, tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return parent.appendChild(made);
}

async function call(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  if (at("key").value) headers.Authorization = "Bearer " + at("key").value;
  const sent = body ? { method: "POST", body: JSON.stringify(body) } : {};
  const response = await fetch(path, { headers, signal, ...sent });
  if (response.status === 401) at("locked").hidden = false;
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    throw new Error((told.error && told.error.message) || "HTTP " + response.status);
  }
  return response;
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line !== "data: [DONE]") yield JSON.parse(line.slice("data: ".length));
    }
  }
}

async function ask(question) {
  const turn = add(at("talk"), "section", "turn");
  add(turn, "p", "question", question);
  const answer = add(turn, "p", "answer");
  asking = new AbortController();
  at("send").disabled = true;
  at("stop").hidden = false;
  at("state").textContent = "answering …";
  const messages = [...turns, { role: "user", content: question }];
  try {
    const request = { model: "champion", stream: true, messages };
    const response = await call("/v1/chat/completions", request, asking.signal);
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      const choice = event.choices[0] || {};
      answer.textContent += (choice.delta && choice.delta.content) || "";
      if (choice.finish_reason) end(turn, event);
      turn.scrollIntoView({ block: "nearest" });
    }
    turns = [...messages, { role: "assistant", content: answer.textContent }];
    at("state").textContent = "";
  } catch (error) {
    at("state").textContent = "";
    const stopped = error.name === "AbortError";
    add(turn, "p", stopped ? "note" : "error", stopped ? "(stopped)" : error.message);
  }
  asking = null;
  at("send").disabled = false;
  at("stop").hidden = true;
}

function end(turn, event) {
  if (event.choices[0].finish_reason === "length") add(turn, "p", "note", "(cut here: that is the longest answer allowed)");
  for (const source of event.sources) {
    const shown = add(turn, "details");
    const title = [source.title, source.section].filter(Boolean).join(" > ");
    add(shown, "summary", "", "Source: " + [title, source.source].filter(Boolean).join(" — "));
    add(shown, "p", "text", source.text);
  }
  if (!event.logged) return;
  const row = add(turn, "div", "rating");
  const thumbs = [[1, "👍 good", "good answer"], [-1, "👎 bad", "bad answer"]].map(([rating, sign, name]) => {
    const button = add(row, "button", "", sign);
    button.type = "button";
    button.setAttribute("aria-label", name);
    button.addEventListener("click", async () => {
      try {
        await call("/v1/feedback", { id: event.id, rating });
        thumbs.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      } catch (error) {
        add(row, "span", "error", " " + error.message);
      }
    });
    return button;
  });
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = at("question").value.trim();
  if (!question || asking) return;
  at("question").value = "";
  ask(question);
});
at("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at("form").requestSubmit();
  }
});
at("stop").addEventListener("click", () => asking && asking.abort());
at("anew").addEventListener("click", () => {
  if (asking) asking.abort();
  turns = [];
  at("talk").replaceChildren();
  at("question").focus();
});
call("/v1/models").catch((error) => { at("state").textContent = error.message; });
