/**
 * Faults in what outlives a process: the one write path and its leases, the store, and how an operation is gone on with,
 * run once, or acknowledged.
 */

const history = "src/layers/History.ts"
const renewals = "src/layers/history/renewals.ts"
const memory = "src/layers/MemorySessionStore.ts"
const past = "src/programs/Past.ts"
const converse = "src/programs/converse.ts"
const dispatch = "src/programs/dispatch.ts"
const toolCalls = "src/programs/toolCalls.ts"
const resumed = "src/programs/resumed.ts"
const ends = "src/programs/ends.ts"
const task = "src/programs/task.ts"
const prompt = "src/programs/prompt.ts"
const strays = "src/programs/strays.ts"
const once = "src/programs/once.ts"
const outcome = "src/programs/outcome.ts"
const submit = "src/programs/submit.ts"
const takeIn = "src/programs/takeIn.ts"
const byHistory = ["test/layers/History.test.ts"]
const byFates = ["test/layers/History.fates.test.ts"]
const byLeases = ["test/programs/leases.test.ts"]
const byOwed = ["test/programs/owed.test.ts"]
const byContract = ["test/layers/MemorySessionStore.test.ts"]
const byRecovery = ["test/programs/recovery.test.ts"]
const byResumption = ["test/programs/resumption.test.ts"]
const byPartial = ["test/programs/partial.test.ts"]
const byOnce = ["test/programs/once.test.ts"]
const bySubmit = ["test/programs/submit.test.ts"]
const byShutdown = ["test/programs/shutdown.test.ts"]

export const durable = [
  {
    name: "write: one of which it is not known whether it was stored counts as not stored",
    file: history,
    find: "return Effect.matchCauseEffect(wasStored(wanted), {",
    replace: "return Effect.matchCauseEffect(Effect.succeed(undefined), {",
    tests: byFates
  },
  {
    name: "write: whatever stands in its place is what was written",
    file: history,
    find: "found?._tag === first._tag && found.operationId === first.operationId && found.at === first.at",
    replace: "found !== undefined",
    tests: byFates
  },
  {
    name: "write: how the session stands is not found out afterwards",
    file: history,
    find: "    if (journal.unsure) {\n",
    replace: "    if (journal.unsure && journal.lost) {\n",
    tests: byFates
  },
  {
    name: "write: found out afterwards, it is not told",
    file: history,
    find: "for (const entry of entries) events.publish(ofEntry(id, entry))",
    replace: "",
    tests: byFates
  },
  {
    name: "write: another's claim is not seen afterwards",
    file: history,
    find: `if (row.owner !== owner || (row.epoch !== journal.epoch && !claimed)) return lose(journal, "epoch")`,
    replace: "void claimed",
    tests: byFates
  },
  {
    name: "write: that the session is lost is not remembered",
    file: history,
    find: `          if (!isGone && lease !== "claim" && lease !== "once") journal.lost = true\n`,
    replace: "",
    tests: byFates
  },
  {
    name: "write: a session that is lost is written to",
    file: history,
    find: `    if (journal.lost) return failed(journal, new StaleLease({ session: journal.row.id, reason: "epoch" }))\n`,
    replace: "",
    tests: byFates
  },
  {
    name: "write: a session at which a write failed counts as known",
    file: history,
    find: "    journal.atRest = false\n    next(journal)",
    replace: "    next(journal)",
    tests: byLeases
  },
  {
    name: "write: the session is not claimed",
    file: history,
    find: `isNote ? "once" : "claim"`,
    replace: `isNote ? "once" : "keep"`,
    tests: byLeases
  },
  {
    name: "write: the end does not give the session up",
    file: history,
    find: `(ends || isNote ? "release" : "keep")`,
    replace: `(isNote ? "release" : "keep")`,
    tests: byLeases
  },
  {
    name: "write: who waits is put behind what is being stored no more",
    file: history,
    find: `      return Effect.async<void, Failure>((resume) => {
        // The fiber may have yielded since: what was being stored then is not what is now.
        if (journal.waiting === undefined) resume(append(journal, wanted))
        else journal.waiting.push({ ...wanted, resume })`,
    replace: `      const line = journal.waiting
      return Effect.async<void, Failure>((resume) => {
        line.push({ ...wanted, resume })`,
    tests: byHistory
  },
  {
    name: "write: what had arrived of a reply outlives the reply",
    file: history,
    find: "partial: writes.at(-1)!.options.partial\n",
    replace: "partial: writes.findLast(({ options }) => options.partial !== undefined)?.options.partial\n",
    tests: byFates
  },
  {
    name: "owed: an end that could not be stored is forgotten",
    file: history,
    find: "      owed.set(journal.row.incarnation, { journal, operationId: journal.operationId, drafts })\n",
    replace: "",
    tests: byOwed
  },
  {
    name: "owed: one that fails again is forgotten",
    file: history,
    find: "          owed.set(journal.row.incarnation, end)\n",
    replace: "",
    tests: byOwed
  },
  {
    name: "owed: that of a child is left",
    file: history,
    find: "    if (owed.size > 0) return settlingChildren(session, incarnation, known)\n",
    replace: "",
    tests: byOwed
  },
  {
    name: "owed: stored though another engine has ended the operation",
    file: history,
    find: "return journal.running?.operationId === end.operationId ? settleOwed(journal, end) : Effect.succeed(journal)",
    replace: "return settleOwed(journal, end)",
    tests: byOwed
  },
  {
    name: "owed: though the session was lost",
    file: ends,
    find: "if (!running.journal.lost) running.engine.history.owe(",
    replace: "running.engine.history.owe(",
    tests: byOwed
  },
  {
    name: "owed: the end of a task that failed is forgotten",
    file: task,
    find: "      running.journal.late = [...running.journal.late, end]\n",
    replace: "      void end\n",
    tests: byOwed
  },
  {
    name: "leave: the session is kept when the engine ends",
    file: history,
    find: `Effect.suspend(() => store.append(appendOf(journal, nothing, none, "release", journal.running)))`,
    replace: "Effect.void",
    tests: byShutdown
  },
  {
    name: "leave: what was left unfinished counts as ended",
    file: history,
    find: `none, "release", journal.running)))`,
    replace: `none, "release", null)))`,
    tests: byShutdown
  },
  {
    name: "lease: never renewed",
    file: renewals,
    find: "        if (live.size === 1) set(on)\n",
    replace: "        void [on, set]\n",
    tests: byLeases
  },
  {
    name: "lease: renewed once",
    file: renewals,
    find: "            if (live.size > 0 && clock !== undefined) set(clock)\n",
    replace: "",
    tests: byLeases
  },
  {
    name: "lease: that it is lost stops nothing",
    file: renewals,
    find: "          onLost()\n",
    replace: "          void onLost\n",
    tests: byLeases
  },
  {
    name: "lease: one that was lost counts by the epoch of another",
    file: renewals,
    find: "journal.epoch !== leases[i]!.epoch) return",
    replace: "journal.epoch === leases[i]!.epoch) return",
    tests: byLeases
  },
  {
    name: "lease: one that was claimed anew while it was renewed counts as lost",
    file: renewals,
    find: " || journal.epoch !== leases[i]!.epoch) return",
    replace: ") return",
    tests: byLeases
  },
  {
    name: "store: a claim looks at no lease",
    file: memory,
    find: "row.owner !== owner && it.leaseUntil > now) {\n      return new SessionOwned({ session, owner",
    replace: "row.owner !== owner && it.leaseUntil < 0) {\n      return new SessionOwned({ session, owner",
    tests: byContract
  },
  {
    name: "store: a claim raises no epoch",
    file: memory,
    find: "    if (claims) row.epoch++\n",
    replace: "",
    tests: byContract
  },
  {
    name: "store: a write prolongs no lease",
    file: memory,
    find: "isLeft ? 0 : now + leaseFor",
    replace: "isLeft ? 0 : claims ? now + leaseFor : it.leaseUntil",
    tests: byContract
  },
  {
    name: "store: a lease is renewed under any epoch",
    file: memory,
    find: "if (it?.row.owner !== owner || it.row.epoch !== epoch) continue",
    replace: "if (it?.row.owner !== owner || epoch < 0) continue",
    tests: byContract
  },
  {
    name: "store: any place is the next",
    file: memory,
    find: `    if (row.nextSeq !== expectedSeq) return new StaleLease({ session, reason: "sequence" })\n`,
    replace: "",
    tests: byContract
  },
  {
    name: "store: what is not there is delivered",
    file: memory,
    find: "if (delivered.some((id) => !it.waiting.some((item) => item.id === id))) {",
    replace: "if (delivered.length < 0) {",
    tests: byContract
  },
  {
    name: "store: what comes into an inbox is not counted",
    file: memory,
    find: "        it.row.inbox++\n",
    replace: "",
    tests: byContract
  },
  {
    name: "store: an input is put twice",
    file: memory,
    find: "        if (it.waiting.some(({ id }) => id === item.id)) return Effect.void\n",
    replace: "",
    tests: byContract
  },
  {
    name: "store: an inbox that holds something is settled",
    file: memory,
    find: "row.running !== null || waiting.length > 0",
    replace: "row.running !== null",
    tests: byContract
  },
  {
    name: "store: the first operation of an id is given",
    file: memory,
    find: "const from = entries.findLastIndex(",
    replace: "const from = entries.findIndex(",
    tests: byContract
  },
  {
    name: "resume: attempts are not counted",
    file: past,
    find: `if (entry._tag === "OperationResumed") attempts = entry.attempt`,
    replace: `if (entry._tag === "OperationResumed") attempts = 1`,
    tests: byRecovery
  },
  {
    name: "resume: attempts are not bounded",
    file: resumed,
    find: "attempt > attempts\n",
    replace: "attempt > attempts * attempts\n",
    tests: byRecovery
  },
  {
    name: "resume: a cut reply counts as a turn",
    file: past,
    find: `if (entry.finish !== "interrupted") replies.push(entry)`,
    replace: "replies.push(entry)",
    tests: byResumption
  },
  {
    name: "resume: turns are counted from zero",
    file: converse,
    find: "const turns = past.replies.length",
    replace: "const turns = Math.min(1, past.replies.length)",
    tests: byResumption
  },
  {
    name: "resume: what was used before is forgotten",
    file: resumed,
    find: "        journal.turns = past.turns\n",
    replace: "",
    tests: byResumption
  },
  {
    name: "resume: what its tasks used before is forgotten",
    file: resumed,
    find: "        journal.tasks = past.tasks\n",
    replace: "",
    tests: byResumption
  },
  {
    name: "resume: a budget begins anew",
    file: prompt,
    find: "if (past !== undefined && budget !== undefined) {",
    replace: "if (past === undefined && budget !== undefined) {",
    tests: byResumption
  },
  {
    name: "resume: how it was asked is forgotten",
    file: prompt,
    find: "turns(running, turnOptionsOf(request), wanted, inherited?.call, past)",
    replace: "turns(running, undefined, wanted, inherited?.call, past)",
    tests: byResumption
  },
  {
    name: "resume: the result that was asked for is forgotten",
    file: prompt,
    find: "const wanted = wantedAgain(ref.agent.resultSchema, request?.result)",
    replace: "const wanted = wantedAgain(ref.agent.resultSchema, undefined)",
    tests: byRecovery
  },
  {
    name: "resume: reminders are counted from zero",
    file: converse,
    find: "    if (wanted !== undefined) wanted.reminders = past.countNotes(reminder)\n",
    replace: "",
    tests: byResumption
  },
  {
    name: "resume: that the model was warned is forgotten",
    file: converse,
    find: "    warned = past.hasNote(noProgress)\n",
    replace: "",
    tests: byResumption
  },
  {
    name: "resume: going round in circles begins anew",
    file: converse,
    find: "    for (const reply of before) progress.add(callsOf(reply), (id) => past.toolResultOf(id))\n",
    replace: "    void before\n",
    tests: byResumption
  },
  {
    name: "resume: a verdict is forgotten",
    file: converse,
    find: "return Effect.flatMap(decideAgain(past, calls), () =>",
    replace: "return Effect.flatMap(Effect.succeed(decideAgain), () =>",
    tests: byRecovery
  },
  {
    name: "resume: what had arrived of a reply is left out",
    file: resumed,
    find: `if (partial.trim() === "") return []`,
    replace: "return []",
    tests: byPartial
  },
  {
    name: "resume: nothing is said after a reply that was cut",
    file: converse,
    find: "    if (wasCut) return Effect.flatMap(running.append([Draft.note(cutOff)]), () => next(turns))\n",
    replace: "",
    tests: byResumption
  },
  {
    name: "resume: a reply is asked for again whose calls are recorded",
    file: converse,
    find: "const isOpen = isLast && !wasCut",
    replace: "const isOpen = isLast && after.length < 0 && !wasCut",
    tests: byRecovery
  },
  {
    name: "resume: a reply that was answered already is settled again",
    file: converse,
    find: "answered && !isToldSince && !after.some(isCompaction)",
    replace: "answered && !after.some(isCompaction)",
    tests: byResumption
  },
  {
    name: "resume: calls that are settled are run again",
    file: converse,
    find: "calls.filter((call) => past.resultOf(call.id) === undefined)",
    replace: "[...calls]",
    tests: byRecovery
  },
  {
    name: "resume: a plain tool is run again",
    file: dispatch,
    find: `    if (started && tool?.effects === undefined) return { _tag: "Unknown" }\n`,
    replace: "",
    tests: byRecovery
  },
  {
    name: "resume: what was started counts as new",
    file: dispatch,
    find: "const started = past?.wasStarted(call.id) === true",
    replace: "const started = past?.wasStarted(call.id) === true && past.attempts < 0",
    tests: byRecovery
  },
  {
    name: "resume: a start is recorded twice",
    file: toolCalls,
    find: "if (!dispatched.started) drafts.push(",
    replace: "drafts.push(",
    tests: byRecovery
  },
  {
    name: "resume: a task call begins a second child",
    file: dispatch,
    find: "const child = past?.taskOf(call.id)",
    replace: "const child = past?.taskOf(`${call.id}?`)",
    tests: byRecovery
  },
  {
    name: "resume: a task begins a second child",
    file: task,
    find: "if (past !== undefined) return goOn(",
    replace: "if (past?.end !== undefined) return goOn(",
    tests: byRecovery
  },
  {
    name: "resume: a task ends twice",
    file: task,
    find: "      if (end === undefined) return settled(",
    replace: "      return settled(",
    tests: byRecovery
  },
  {
    name: "resume: a child that another engine holds is not waited for",
    file: resumed,
    find: "under !== undefined && error instanceof SessionOwned",
    replace: "under !== under && error instanceof SessionOwned",
    tests: byOwed
  },
  {
    name: "resume: strays are left",
    file: prompt,
    find: "Effect.zipRight(endStrays(running, past), ",
    replace: "Effect.zipRight(Effect.succeed([endStrays, running, past]), ",
    tests: byResumption
  },
  {
    name: "resume: the strays of strays are left",
    file: strays,
    find: "Effect.zipRight(endStrays(it, childsPast, true), Effect.interrupt)",
    replace: "Effect.zipRight(Effect.succeed([it, childsPast]), Effect.interrupt)",
    tests: byResumption
  },
  {
    name: "resume: a stray has an end with its parent alone",
    file: strays,
    find: "if (row === undefined || row.running === null) return recorded",
    replace: "if (row === undefined || row.running !== undefined) return recorded",
    tests: byResumption
  },
  {
    name: "resume: who waits for a child by its call is none where the call has its result",
    file: strays,
    find: " || past.resultOf(callId) !== undefined",
    replace: "",
    tests: byOwed
  },
  {
    name: "resume: a stray whose lease holds is left",
    file: resumed,
    find: "under !== undefined && error instanceof SessionOwned",
    replace: 'under === undefined && error instanceof SessionOwned && error.owner === ""',
    tests: byResumption
  },
  {
    name: "resume: a command is gone on with as a prompt",
    file: "src/programs/recover.ts",
    find: "      return resumeShell(ref, spec)\n",
    replace: "      return resumePrompt(ref, spec)\n",
    tests: byResumption
  },
  {
    name: "shutdown: an operation is settled",
    file: ends,
    find: "  if (wasCut && !journal.lost && isShutdown(lease)) return suspended(",
    replace: "  if (wasCut && !wasCut) return suspended(",
    tests: byShutdown
  },
  {
    name: "shutdown: a task that can be gone on with is settled",
    file: task,
    find: "wasCut && isShutdown(running.lease) ? ",
    replace: "wasCut && !wasCut ? ",
    tests: byShutdown
  },
  {
    name: "shutdown: a call that can be gone on with is settled",
    file: toolCalls,
    find: "if (again && Exit.isInterrupted(exit) && isShutdown(",
    replace: "if (again && !again && Exit.isInterrupted(exit) && isShutdown(",
    tests: byShutdown
  },
  {
    name: "shutdown: calls that were not begun are settled",
    file: toolCalls,
    find: "isShutdown(this.operation.lease) ? [] : this.calls",
    replace: "this.calls",
    tests: byShutdown
  },
  {
    name: "once: any input is that of a recorded operation",
    file: once,
    find: "    if (past.start.key !== it.key) return conflict\n",
    replace: "",
    tests: byOnce
  },
  {
    name: "once: any input is that of an operation that runs",
    file: once,
    find: "          if (claim.key !== it.key) return conflict\n",
    replace: "",
    tests: byOnce
  },
  {
    name: "once: any input is that which joined a prompt",
    file: once,
    find: "      if (first.asked?.key !== it.key) return conflict\n",
    replace: "",
    tests: bySubmit
  },
  {
    name: "once: an operation waits for itself",
    file: once,
    find: "          if (self) {\n",
    replace: "          if (self && fiber === undefined) {\n",
    tests: byOnce
  },
  {
    name: "once: an interruption is what it gave",
    file: once,
    find: `    if (past.end?.outcome === "interrupted") return begin()\n`,
    replace: "",
    tests: byOnce
  },
  {
    name: "once: the text of a turn is that of its last reply",
    file: past,
    find: `if (i < this.replies.length - 1 && reply.finish !== "pause") break`,
    replace: "if (i < this.replies.length - 1) break",
    tests: byOnce
  },
  {
    name: "once: a result that was refused is the result",
    file: past,
    find: `call.name === "finish" && this.settled.get(call.id)?.outcome === "success"`,
    replace: `call.name === "finish"`,
    tests: byOnce
  },
  {
    name: "once: a recorded failure is a defect",
    file: outcome,
    find: "return known === undefined ? ",
    replace: "return known !== undefined ? ",
    tests: byOnce
  },
  {
    name: "submit: what is known is stored again",
    file: submit,
    find: "(isKnown ? Effect.void : stored)",
    replace: "(isKnown ? stored : stored)",
    tests: bySubmit
  },
  {
    name: "submit: what is withdrawn waits here all the same",
    file: submit,
    find: "    if (wasThere) inbox.forget(ref.incarnation, id)\n",
    replace: "    void inbox\n",
    tests: bySubmit
  },
  {
    name: "submit: what runs stays in the inbox",
    file: prompt,
    find: "named: name, request, delivered: [id], ",
    replace: "named: name, request, delivered: id === undefined ? [id] : [], ",
    tests: bySubmit
  },
  {
    name: "submit: what is to wait joins the prompt that runs",
    file: takeIn,
    find: `if (when === "wait" || `,
    replace: "if (",
    tests: bySubmit
  },
  {
    name: "submit: what was delivered stays in the inbox",
    file: takeIn,
    find: "all, { delivered })",
    replace: "all, { delivered: delivered.slice(delivered.length) })",
    tests: bySubmit
  },
  {
    name: "submit: what was taken back meanwhile is delivered or fails the prompt",
    file: takeIn,
    find: `error._tag === "StaleLease" && error.reason === "delivered"`,
    replace: `error._tag === "StaleLease" && error.reason === "removed"`,
    tests: bySubmit
  },
  {
    name: "submit: a message that was promised ends with the process",
    file: "src/programs/join.ts",
    find: "return Effect.matchCauseEffect(store.put(ref, item), {",
    replace: "return Effect.matchCauseEffect(Effect.succeed([store, item]), {",
    tests: bySubmit
  }
]
