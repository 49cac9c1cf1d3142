/**
 * The command `sessions`.
 */
import * as Terminal from "@effect/platform/Terminal"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { SessionStore } from "../../services/SessionStore.js"
import { jsonLine } from "../render.js"
import { listed, tableLines } from "../sessionTable.js"
import { stoppable } from "../stoppable.js"
import { tell } from "./ending.js"
import type { Executable } from "./Executable.js"
import type { Located } from "./options.js"
import { placeOf } from "./withEngine.js"

export const sessionsCommand = <E>(executable: Executable<E>, given: Located & { readonly json: boolean }) =>
  Effect.gen(function* () {
    const place = placeOf(given)
    const terminal = yield* Terminal.Terminal
    if (!(yield* executable.exists(place))) {
      return given.json ? undefined : yield* terminal.display("There are no sessions.\n")
    }
    const all = yield* stoppable(
      executable.store(place),
      executable.stop,
      false,
      Effect.flatMap(SessionStore, (store) => listed(store, executable.isGone))
    )
    const lines = given.json
      ? all.map((it) => jsonLine(it))
      : all.length === 0
        ? ["There are no sessions."]
        : tableLines(all, yield* Clock.currentTimeMillis)
    yield* terminal.display(lines.map((line) => `${line}\n`).join(""))
  }).pipe(Effect.onError(tell))
