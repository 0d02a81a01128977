/** Where the wasm lies beside this file. Bundlers that know `new URL` take it along. */
const url: string = new URL("./core.wasm", import.meta.url).href;

export default url;
