import { useState } from "react";
import { useSession } from "session-keeper/react";

const REASONS = { rejected: "Your session has ended.", expired: "Your session has run out." };

export function Login() {
  const { signIn, lastSignOut } = useSession();
  const [problem, setProblem] = useState();

  async function onSubmit(event) {
    event.preventDefault();
    const response = await fetch("/auth/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(event.target))),
    });
    if (response.ok) await signIn(await response.json());
    else setProblem("Wrong name or password.");
  }

  return (
    <form onSubmit={onSubmit}>
      <p role="alert">{problem ?? REASONS[lastSignOut?.reason]}</p>
      <label>
        Name <input name="username" autoComplete="username" required />
      </label>
      <label>
        Password <input name="password" type="password" autoComplete="current-password" required />
      </label>
      <button>Sign in</button>
    </form>
  );
}
