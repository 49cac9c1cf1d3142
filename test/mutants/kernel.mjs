/**
 * Faults planted in the lock, each of which the law tests must catch. A fault is an exact patch that applies once.
 */

const lock = "src/layers/SessionLock.ts"
const deadlock = "src/layers/lock/deadlock.ts"
const line = "src/layers/lock/Line.ts"
const table = "src/layers/lock/Table.ts"
const origin = "src/layers/lock/origin.ts"

/** Caught by the laws. */
export const kernel = [
  {
    name: "no drain: a lease is given back while tasks run under it",
    file: lock,
    find: "return ending.size > 0 ? Effect.flatMap(drain(ending), over) : over()",
    replace: "return over()"
  },
  {
    name: "release before children: the session is given back, then the tasks are drained",
    file: lock,
    find: "return ending.size > 0 ? Effect.flatMap(drain(ending), over) : over()",
    replace:
      "return ending.size > 0 ? Effect.flatMap(Effect.exit(over()), (exit) => Effect.zipRight(drain(ending), exit)) : over()"
  },
  {
    name: "no drain of a tool call: it ends while what it forked runs on",
    file: lock,
    find: "return ending.size > 0 ? Effect.uninterruptible(drain(ending)) : Effect.void",
    replace: "return Effect.as(Effect.void, ending)"
  },
  {
    name: "permit not given back: the next in line never gets it",
    file: lock,
    find: "Effect.flatMap(lease.gate!.permits.release(1), () => {",
    replace: "Effect.flatMap(Effect.void, () => {"
  },
  {
    name: "closing a tool call can be interrupted",
    file: lock,
    find: "return ending.size > 0 ? Effect.uninterruptible(drain(ending)) : Effect.void",
    replace: "return ending.size > 0 ? drain(ending) : Effect.void"
  },
  {
    name: "drain waits and does not interrupt",
    file: lock,
    find: "for (const lease of all) if (lease.fiber !== self) lease.stop(self.id())",
    replace: ""
  },
  {
    name: "no live check: a lease that is ending still admits",
    file: table,
    find: "!delegation.lease.live || !ancestor.live)",
    replace: "false)"
  },
  {
    name: "no live check: a mark stands for ever",
    file: origin,
    find: `(mark.lease as LeaseState).phase !== "ended" && (mark.delegation === undefined || mark.delegation.open)`,
    replace: "mark.lease !== undefined"
  },
  {
    name: "mark kept by a daemon: a closed tool call still admits",
    file: origin,
    find: `(mark.lease as LeaseState).phase !== "ended" && (mark.delegation === undefined || mark.delegation.open)`,
    replace: `(mark.lease as LeaseState).phase !== "ended"`
  },
  {
    name: "mark kept by a daemon: an operation that ended still counts as a lineage",
    file: origin,
    find: `(mark.lease as LeaseState).phase !== "ended" && (mark.delegation === undefined || mark.delegation.open)`,
    replace: `mark.delegation === undefined || mark.delegation.open`
  },
  {
    name: "no re-check after waiting: who stood at the gate of an ended call or lease is let in",
    file: table,
    find: `if (waiter.gate.owner !== undefined) return dismiss(waiter, "retry")`,
    replace: "if (waiter.gate.owner !== undefined) return"
  },
  {
    name: "no re-check after waiting: not even when the lease of the gate ends",
    file: table,
    find: "if (waiter.gate.owner === lease || waiter.lease.parent === lease) part(waiter)",
    replace: "if (waiter.gate.owner === undefined && waiter.lease.parent === lease) part(waiter)"
  },
  {
    name: "re-check fails instead of asking again",
    file: lock,
    find: 'return waiter.outcome === "retry" ? again() : Effect.fail(waiter.outcome as LockError)',
    replace: 'return waiter.outcome === "retry" ? Effect.interrupt : Effect.fail(waiter.outcome as LockError)'
  },
  {
    name: "ungated children: any number of tasks at a time",
    file: table,
    find: "new Gate(lease.session, ancestor, limits.taskWidth)",
    replace: "new Gate(lease.session, ancestor, Infinity)"
  },
  {
    name: "width off by one",
    file: table,
    find: "new Gate(lease.session, ancestor, limits.taskWidth)",
    replace: "new Gate(lease.session, ancestor, limits.taskWidth + 1)"
  },
  {
    name: "children wait at the gate of the root",
    file: table,
    find: "    if (at.live) return at\n    closing ??= at",
    replace: "    closing = at"
  },
  {
    name: "no wake of the next waiter: the place is handed on and nobody told",
    file: table,
    find: `      next.outcome = "granted"\n      next.wake?.()`,
    replace: `      next.outcome = "granted"`
  },
  {
    name: "no hand-off: a place that comes free stays free",
    file: table,
    find: "    lease.fiber = undefined\n    handOn(gate)",
    replace: "    lease.fiber = undefined"
  },
  {
    name: "uninterruptible wait",
    file: lock,
    find: "Effect.matchCauseEffect(restore(withTimer(request, waiter, wait(waiter))), {",
    replace: "Effect.matchCauseEffect(withTimer(request, waiter, wait(waiter)), {"
  },
  {
    name: "outcome that came before the wait is missed",
    file: lock,
    find: `if (waiter.outcome !== "waiting") return resume(Effect.void)`,
    replace: ""
  },
  {
    name: "waiters overtaken by newcomers",
    file: table,
    find: "if (gate.holders.size < gate.width && gate.line.size === 0 && gate.urgent.size === 0) {",
    replace: `if (gate.holders.size < gate.width || (gate.line.size > 1 && lease.kind === "prompt")) {`
  },
  {
    name: "last come, first served",
    file: line,
    find: "const place = this.first as A | undefined\n    if",
    replace: "const place = this.last as A | undefined\n    if"
  },
  {
    name: "a place taken out of the middle cuts the line",
    file: line,
    find: "else place.next.prev = place.prev",
    replace: "else this.last = place.prev"
  },
  {
    name: "permit lost when the waiter is interrupted in the instant of the grant",
    file: lock,
    find: 'if (waiter.outcome === "granted") settle(waiter.lease)',
    replace: 'if (waiter.outcome === "granted") void 0'
  },
  {
    name: "a waiter that goes away keeps its place",
    file: lock,
    find: '        else dismiss(waiter, "retry")',
    replace: "        else void 0"
  },
  {
    name: "interruption in the instant of the grant takes the grant for a wait",
    file: lock,
    find: 'if (waiter.outcome === "granted") settle(waiter.lease)',
    replace: 'if (waiter.outcome !== "granted") settle(waiter.lease)'
  },
  {
    name: "cycle not detected",
    file: table,
    find: "if (lease.parent !== undefined && !urgent) {",
    replace: "if (lease.parent !== undefined && urgent) {"
  },
  {
    name: "cycle detected through direct holders only",
    file: deadlock,
    find: "for (const next of gatesOf(lease)) {\n      for (const holder of next.holders)",
    replace: "for (const next of gatesOf(lease).slice(1)) {\n      for (const holder of next.holders)"
  },
  {
    name: "cycle falsely detected: one free holder of a gate is ignored",
    file: deadlock,
    find: "if (!mine.has(holder) && !stuck.has(holder)) return false",
    replace: "if (mine.has(holder) || stuck.has(holder)) return true"
  },
  {
    name: "cycle falsely detected: whoever waits is stuck",
    file: deadlock,
    find: "if (!gatesOf(lease).some(blocked)) stuck.delete(lease)",
    replace: "if (gatesOf(lease).length === 0) stuck.delete(lease)"
  },
  {
    name: "cycle missed where two gates hold each other up",
    file: deadlock,
    find: "for (const lease of stuck) if (!gatesOf(lease).some(blocked)) stuck.delete(lease)",
    replace:
      "for (const lease of stuck) if (!gatesOf(lease).some((at) => [...at.holders].every((h) => mine.has(h) || (h !== lease && gatesOf(h).some((g) => [...g.holders].every((x) => mine.has(x))))))) stuck.delete(lease)"
  },
  {
    name: "waits below a lease forgotten when its caller ends",
    file: table,
    find: "if (waiter.gate.owner === lease || waiter.lease.parent === lease) part(waiter)",
    replace: "part(waiter)"
  },
  {
    name: "waits of what a tool call left behind still count for it",
    file: table,
    find: "for (const waiter of [...(delegation.waiting ?? [])]) part(waiter)",
    replace: `for (const waiter of [...(delegation.waiting ?? [])]) if (waiter.gate.owner !== undefined) part(waiter)`
  },
  {
    name: "what a tool call left running keeps its lineage",
    file: table,
    find: "    lease.parent = lease.delegation = undefined\n    for (const waiter",
    replace: "    for (const waiter"
  },
  {
    name: "waits below what a tool call left running still count for it",
    file: table,
    find: "for (const at of left) at.waitingBelow?.delete(waiter)",
    replace: ""
  },
  {
    name: "what an ended operation left running keeps its lineage",
    file: table,
    find: "for (const below of [...(lease.below ?? [])]) cut(below, ending)",
    replace: ""
  },
  {
    name: "who calls from an ending operation keeps its lineage",
    file: table,
    find: "if (lease.parent?.live === false) lease.parent = lease.delegation = undefined",
    replace: ""
  },
  {
    name: "what re-entered through an operation left behind runs on",
    file: table,
    find: "if (at.gate!.owner !== undefined && left.has(at.gate!.owner)) ending.add(at)",
    replace: "if (at.gate!.owner !== undefined && left.has(at.gate!.owner)) continue"
  },
  {
    name: "depth off by one",
    file: table,
    find: "lease.depth > limits.taskDepth",
    replace: "lease.depth >= limits.taskDepth"
  },
  {
    name: "depth off by one, the other way",
    file: table,
    find: "lease.depth > limits.taskDepth",
    replace: "lease.depth > limits.taskDepth + 1"
  },
  {
    name: "depth of the session itself ignored",
    file: lock,
    find: "Math.max(parent?.depth ?? 0, request.baseDepth ?? 0)",
    replace: "Math.max(parent?.depth ?? 0, request.baseDepth === undefined ? 0 : 0)"
  },
  {
    name: "depth refused only after the table was touched",
    file: table,
    find: "      return new TaskDepthExceeded(",
    replace:
      "      if (!table.has(lease.session)) table.set(lease.session, new Gate(lease.session, undefined, 1))\n      return new TaskDepthExceeded("
  },
  {
    name: "interrupt does not go ahead of the line",
    file: table,
    find: "gate.urgent.shift() ?? gate.line.shift()",
    replace: "gate.line.shift() ?? gate.urgent.shift()"
  },
  {
    name: "interrupt waits and does not interrupt",
    file: table,
    find: "if (urgent && gate.urgent.peek() === waiter) interruptHolders(gate, lease)",
    replace: ""
  },
  {
    name: "the second interrupt in a row interrupts nobody",
    file: table,
    find: "    if (urgent !== undefined) interruptHolders(gate, urgent.lease)",
    replace: ""
  },
  {
    name: "interruption before the operation has its fiber is lost",
    file: lock,
    find: "if (lease.stopped) fiber.unsafeInterruptAsFork(caller.id())",
    replace: ""
  },
  {
    name: "idle told while someone waits",
    file: table,
    find: "if (idle) lease.onIdle?.()",
    replace: "lease.onIdle?.()"
  },
  {
    name: "idle told before the session is free",
    file: table,
    find: "    if (idle) table.delete(gate.session)\n    if (lease.onEnd !== undefined) for (const tell of lease.onEnd) tell()\n    if (idle) lease.onIdle?.()",
    replace:
      "    if (idle) lease.onIdle?.()\n    if (idle) table.delete(gate.session)\n    if (lease.onEnd !== undefined) for (const tell of lease.onEnd) tell()"
  },
  {
    name: "idle lost when a waiter is interrupted in the instant of the grant",
    file: lock,
    find: "      lease.onIdle = onIdle\n",
    replace: "      if (decide === undefined) lease.onIdle = onIdle\n"
  },
  {
    name: "timer never fires",
    file: lock,
    find: "if (holder !== undefined) dismiss(waiter, busy(request, holder))",
    replace: "if (holder === undefined) dismiss(waiter, busy(request, waiter.lease))"
  },
  {
    name: "timer is not stopped by the grant",
    file: lock,
    find: "() => waiting, Fiber.interrupt)",
    replace: "() => waiting, Fiber.await)"
  },
  {
    name: "timer fails the place and leaves it in the line",
    file: lock,
    find: "if (holder !== undefined) dismiss(waiter, busy(request, holder))",
    replace:
      "if (holder !== undefined) {\n          waiter.outcome = busy(request, holder)\n          waiter.wake?.()\n        }"
  },
  {
    name: "cap off by one",
    file: table,
    find: "gate.line.size >= cap",
    replace: "gate.line.size > cap"
  },
  {
    name: "table entry leaked",
    file: table,
    find: "if (idle) table.delete(gate.session)",
    replace: ""
  },
  {
    name: "own lineage waits instead of failing",
    file: table,
    find: "        return ownLineage(request, ancestor)",
    replace: `        if (policyOf(request) === "reject") return ownLineage(request, ancestor)\n        return enterOrWait(table.get(lease.session)!, lease, policyOf(request) === "interrupt")`
  },
  {
    name: "own lineage is refused as busy whatever the policy",
    file: table,
    find: `if (policyOf(request) !== "reject") {`,
    replace: `if (policyOf(request) === "steer") {`
  },
  {
    name: "a prompt re-enters as a task does",
    file: table,
    find: `lease.kind !== "task" || delegation === undefined`,
    replace: `delegation === undefined`
  },
  {
    name: "a task re-enters outside of a tool call",
    file: table,
    find: "delegation === undefined || !delegation.lease.live || !ancestor.live",
    replace: "(delegation !== undefined && !delegation.lease.live) || !ancestor.live"
  },
  {
    name: "promise lineage ignored",
    file: origin,
    find: "const around = promiseLineage.getStore()",
    replace: "const around = undefined as ReturnType<typeof promiseLineage.getStore>"
  },
  {
    name: "promise lineage taken for that of an older fiber",
    file: origin,
    find: "id.id > around.fiber",
    replace: "id.id > 0"
  },
  {
    name: "promise lineage admits",
    file: lock,
    find: "const decision = decide(request, lease, mark)",
    replace: "const decision = decide(request, lease, from)"
  },
  {
    name: "reject leaves a trace: it stands in the line",
    file: table,
    find: `if (policyOf(request) === "reject") return busy(request, holder)`,
    replace: `if (policyOf(request) === "reject") {\n    gate.line.push(new Waiter(new LeaseState(request.session, request.kind, request.operationId, undefined, 0), gate, false))\n    return busy(request, holder)\n  }`
  },
  {
    name: "reject waits",
    file: table,
    find: `if (policyOf(request) === "reject") return busy(request, holder)`,
    replace: ""
  },
  {
    name: "the caller's interruption does not reach the operation",
    file: lock,
    find: `            fiber.unsafeInterruptAsFork(caller.id())
            return Effect.flatMap(exitOf(fiber)`,
    replace: "            return Effect.flatMap(exitOf(fiber)"
  },
  {
    name: "the caller does not wait for the end of what it interrupted",
    file: lock,
    find: "return Effect.flatMap(exitOf(fiber), () => giveBack(lease, Effect.failCause(cause)))",
    replace: "return giveBack(lease, Effect.failCause(cause))"
  },
  {
    name: "a lease whose fiber has gone is waited for for ever",
    file: lock,
    find: "fiber.addObserver(go)",
    replace: ""
  },
  {
    name: "a lease that its own fiber is to take back is waited for for ever",
    file: lock,
    find: "if (fiber === self) return release(lease)",
    replace: "if (fiber === self) return ended(lease)"
  },
  {
    name: "since tells when it was asked for and not when it was granted",
    file: lock,
    find: 'if (waiter.outcome === "granted") return Effect.flatMap(stamp(waiter.lease), admitted)',
    replace: 'if (waiter.outcome === "granted") return admitted()'
  },
  {
    name: "the mark of a child leaks to its parent",
    file: "src/services/SessionLock.ts",
    find: "{ join: (parent) => parent }",
    replace: "{ join: (_parent, child) => child }"
  }
]
