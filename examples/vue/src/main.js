import { sessionKeeper } from "session-keeper/vue";
import { createApp } from "vue";

import App from "./App.vue";
import { keeper } from "./keeper.js";

createApp(App).use(sessionKeeper(keeper)).mount("#app");
