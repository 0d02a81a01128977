import { createKeeper } from "session-keeper";

const keeper = createKeeper({
  refresh: { path: "/auth/refresh" },
  signOut: { path: "/auth/logout" },
});

const login = document.querySelector("#login");
const main = document.querySelector("main");

function render({ signedIn, user, signOut }) {
  document.querySelector("#please-wait").hidden = signedIn !== undefined;
  login.hidden = signedIn !== false;
  main.hidden = signedIn !== true;
  main.querySelector("h1").textContent = `Hello ${user?.username ?? ""}`;
  const hasEnded = signOut && signOut.reason !== "user";
  login.querySelector("[role=alert]").textContent = hasEnded ? "Your session has ended." : "";
  if (signedIn && !wasSignedIn) void loadItems();
  wasSignedIn = signedIn;
}

let wasSignedIn;

async function loadItems() {
  const response = await keeper.fetch("/api/items").catch(() => undefined);
  if (!response?.ok) return;
  const items = (await response.json()).map((text) =>
    Object.assign(document.createElement("li"), { textContent: text }),
  );
  main.querySelector("ul").replaceChildren(...items);
}

login.addEventListener("submit", async (event) => {
  event.preventDefault();
  const response = await fetch("/auth/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(Object.fromEntries(new FormData(login))),
  });
  if (response.ok) await keeper.signIn(await response.json());
  else login.querySelector("[role=alert]").textContent = "Wrong name or password.";
});
document.querySelector("#sign-out").addEventListener("click", () => keeper.signOut());

keeper.subscribe(render);
render(await keeper.start());
