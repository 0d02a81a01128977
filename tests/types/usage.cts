// The same package by `require`, as Jest and old Node programs load it.

import sessionKeeper = require("session-keeper");

const keeper: sessionKeeper.SessionKeeper = sessionKeeper.createKeeper();
export const state: sessionKeeper.SessionState = keeper.snapshot.session;
