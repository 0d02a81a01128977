import { useEffect, useState } from "react";
import { useSession } from "session-keeper/react";

import { keeper } from "./keeper.js";

export function Items() {
  const { user, signOut } = useSession();
  const [items, setItems] = useState([]);

  useEffect(() => {
    const left = new AbortController();
    keeper
      .fetch("/api/items", { signal: left.signal })
      .then(async (response) => response.ok && setItems(await response.json()))
      .catch(() => {}); // left, or the server stayed away: the banner says so
    return () => left.abort();
  }, []);

  return (
    <main>
      <h1>Hello {user?.username}</h1>
      <ul>
        {items.map((item) => (
          <li key={item}>{item}</li>
        ))}
      </ul>
      <button onClick={signOut}>Sign out</button>
    </main>
  );
}
