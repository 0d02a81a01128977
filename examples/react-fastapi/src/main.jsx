import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { KeeperProvider, RequireSession } from "session-keeper/react";

import { Banner } from "./banner.jsx";
import { Items } from "./items.jsx";
import { keeper } from "./keeper.js";
import { Login } from "./login.jsx";

createRoot(document.getElementById("app")).render(
  <StrictMode>
    <KeeperProvider keeper={keeper}>
      <Banner />
      <RequireSession fallback={<p>Please wait…</p>} otherwise={<Login />}>
        <Items />
      </RequireSession>
    </KeeperProvider>
  </StrictMode>,
);
