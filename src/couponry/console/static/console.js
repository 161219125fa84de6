// The console works without this. It asks before what cannot be undone, keeps figures that change up to date, shows a preview
// while one writes, and names the cells of tables for screens where a row stands as a card.
"use strict";

function label(part) {
  part.querySelectorAll("table").forEach((table) => {
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent);
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
    if (!heads.length || rows.some((row) => row.cells.length !== heads.length)) return;
    rows.forEach((row) => heads.forEach((head, at) => {
      row.cells[at].dataset.label = head;
      const inside = document.createElement("div");
      inside.append(...row.cells[at].childNodes);
      row.cells[at].append(inside);
    }));
    table.classList.add("stacks");
  });
}

label(document);
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// <div data-refresh="/console/jobs/7/part" data-seconds="2">: replaced by what that address answers, until it says no more.
async function refresh(element) {
  const answer = await fetch(element.dataset.refresh, { headers: { "X-Part": "1" } });
  if (!answer.ok || answer.redirected) return;
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  const next = holder.content.firstElementChild;
  if (!next) return;
  label(next);
  element.replaceWith(next);
  follow(next);
}

function follow(element) {
  if (!element.dataset.refresh) return;
  setTimeout(() => (document.hidden ? follow(element) : refresh(element).catch(() => follow(element))), 1000 * (element.dataset.seconds || 2));
}

document.querySelectorAll("[data-refresh]").forEach(follow);

// <form data-preview="/console/…/preview" data-into="id">: what the form holds is posted while one writes; the answer is shown.
document.querySelectorAll("form[data-preview]").forEach((form) => {
  let timer = 0;
  let asked = 0;
  const show = async () => {
    const mine = ++asked;
    const fields = new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === "string"));
    const answer = await fetch(form.dataset.preview, { method: "POST", body: fields });
    const text = await answer.text();
    if (answer.ok && mine === asked) document.getElementById(form.dataset.into).innerHTML = text;
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => show().catch(() => {}), 300);
  });
});

// <button type="button" data-insert="{{voucher_code}}" data-target="id">: puts a tag where the cursor is.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-insert]");
  if (!button) return;
  const field = document.getElementById(button.dataset.target);
  field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
});
