import axios from "axios";
import { createKeeper } from "session-keeper";
import { attach } from "session-keeper/axios";

const keeper = createKeeper({
  refresh: { path: "/auth/refresh" },
  signOut: { path: "/auth/logout" },
});
const api = axios.create();
attach(api, keeper);

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
  // Left out where the server stays away: the next sign-in or reload asks again.
  const response = await api.get("/api/items").catch(() => undefined);
  if (!response) return;
  const items = response.data.map((text) =>
    Object.assign(document.createElement("li"), { textContent: text }),
  );
  main.querySelector("ul").replaceChildren(...items);
}

login.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { data } = await axios.post("/auth/login", Object.fromEntries(new FormData(login)));
    await keeper.signIn(data);
  } catch {
    login.querySelector("[role=alert]").textContent = "Wrong name or password.";
  }
});
document.querySelector("#sign-out").addEventListener("click", () => keeper.signOut());

keeper.subscribe(render);
render(await keeper.start());
