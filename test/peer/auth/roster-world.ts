/** Devices, their keys, and statements made by hand: honest ones, and the kinds an attacker would make. */
import type { DeviceId } from '../../../src/base/ids.ts'
import { createSeededRandom } from '../../../src/base/random.ts'
import type { DeviceKey } from '../../../src/peer/auth/device-key.ts'
import { createDeviceKey, deviceIdOf } from '../../../src/peer/auth/device-key.ts'
import type { RosterState } from '../../../src/peer/auth/roster-state.ts'
import { evaluate, membersOf } from '../../../src/peer/auth/roster-state.ts'
import { createRosterGraph } from '../../../src/peer/auth/roster-graph.ts'
import type { Role, Statement } from '../../../src/peer/auth/statement.ts'
import { composeStatement } from '../../../src/peer/auth/statement.ts'

export interface Actor {
  readonly name: string
  readonly id: DeviceId
  key: DeviceKey
}

const keyOf = (seed: number): DeviceKey => createDeviceKey(createSeededRandom(seed).bytes(32))

export function actor(seed: number): Actor {
  const key = keyOf(seed)
  return { name: `d${seed}`, id: deviceIdOf(key.publicKey), key }
}

const by = (author: Actor, parents: readonly Statement[]) => ({ author: author.id, key: author.key, parents })

/** Ways to say anything with any parents. */
export const speak = {
  add: (author: Actor, who: Actor, parents: readonly Statement[], role: Role = 'full') =>
    composeStatement({
      kind: 'add',
      body: { key: who.key.publicKey, name: who.name, kind: 'laptop', role, grants: [] },
      ...by(author, parents),
    }),
  witness: (author: Actor, parents: readonly Statement[]) =>
    composeStatement({ kind: 'witness', body: {}, ...by(author, parents) }),
  remove: (author: Actor, who: Actor, parents: readonly Statement[]) =>
    composeStatement({ kind: 'remove', body: { device: who.id }, ...by(author, parents) }),
  grant: (author: Actor, who: Actor, parents: readonly Statement[], role: Role) =>
    composeStatement({
      kind: 'grant',
      body: { device: who.id, role, grants: [], recovery: undefined },
      ...by(author, parents),
    }),
  rename: (author: Actor, who: Actor, parents: readonly Statement[], name: string) =>
    composeStatement({ kind: 'rename', body: { device: who.id, name }, ...by(author, parents) }),
  rotate: (author: Actor, next: DeviceKey, parents: readonly Statement[]) =>
    composeStatement({
      kind: 'rotate',
      body: { next: next.publicKey, overlapMs: 1000 },
      ...by(author, parents),
      second: next,
    }),
  recover: (key: DeviceKey, who: Actor, parents: readonly Statement[], remove: readonly Actor[]) =>
    composeStatement({
      kind: 'recover',
      body: { key: who.key.publicKey, name: who.name, kind: 'laptop', remove: remove.map((gone) => gone.id) },
      author: who.id,
      key,
      parents,
    }),
}

/** A mesh founded by `founder`, and ways to speak in it with any parents. */
export function createWorld(founder: Actor, recovery?: DeviceKey) {
  const found = composeStatement({
    kind: 'found',
    body: {
      key: founder.key.publicKey,
      name: founder.name,
      kind: 'laptop',
      recovery: recovery?.publicKey,
      nonce: new Uint8Array(16),
    },
    author: founder.id,
    key: founder.key,
    parents: [],
  })
  return {
    found,
    ...speak,
    state: (...statements: readonly Statement[]): RosterState => evaluate(found.mesh, [found, ...statements]),
    graph: (statements: readonly Statement[]) => createRosterGraph(found.mesh, [found, ...statements]),
  }
}

export const keyFrom = keyOf

/** Ids of the members, in the order given by `actors`. */
export const names = (state: RosterState, actors: readonly Actor[]): readonly string[] =>
  actors.filter((one) => membersOf(state).some((device) => device.deviceId === one.id)).map((one) => one.name)

export const reasonOf = (state: RosterState, statement: Statement): string | undefined =>
  state.rejected.find((entry) => entry.hash === statement.hash)?.reason
