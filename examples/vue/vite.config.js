import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [vue()],
  server: { proxy: { "/auth": "http://127.0.0.1:8000", "/api": "http://127.0.0.1:8000" } },
});
