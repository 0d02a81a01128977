// The protected resource: a list of tags, through `keeper.fetch`.
//
// Rule: adding a tag twice changes nothing on the server, so a request that a wake-up swallowed
// may be sent again.

const list = document.querySelector("#tags");
const form = document.querySelector("#add-tag");
const outcome = document.querySelector("#tag-outcome");

/** Shows the tags of whoever is signed in, and adds new ones. */
export function watchTags(keeper) {
  let shownFor;
  keeper.subscribe(({ signedIn }) => {
    if (signedIn === shownFor) return;
    shownFor = signedIn;
    show([]);
    outcome.textContent = "";
    if (signedIn) void load(keeper);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void add(keeper);
  });
}

async function load(keeper) {
  try {
    const response = await keeper.fetch("/api/tags");
    if (response.ok) show((await response.json()).tags);
  } catch {
    outcome.textContent = "The tags did not come: the server did not answer.";
  }
}

async function add(keeper) {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  const name = form.elements.tag.value.trim();
  try {
    outcome.textContent = keeper.snapshot.server === "awake" ? "" : "Waiting for the server…";
    const response = await keeper.fetch("/api/tags", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name }),
      retry: true,
    });
    const answer = await response.json();
    outcome.textContent = response.ok ? `Added “${name}”.` : `Not added: ${answer.message}.`;
    if (!response.ok) return;
    show(answer.tags);
    form.reset();
  } catch {
    outcome.textContent = "Not added: the server did not answer. Try again when it is back.";
  } finally {
    form.ariaBusy = "false";
  }
}

function show(tags) {
  list.replaceChildren(
    ...tags.map((tag) => {
      const item = document.createElement("li");
      item.textContent = tag;
      return item;
    }),
  );
}
