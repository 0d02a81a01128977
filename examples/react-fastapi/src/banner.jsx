import { useServer } from "session-keeper/react";

const SENTENCES = {
  waking: "The server is waking up. You stay signed in.",
  unreachable: "The server cannot be reached. You stay signed in.",
  offline: "You are offline. You stay signed in.",
};

export function Banner() {
  return <p role="status">{SENTENCES[useServer()]}</p>;
}
