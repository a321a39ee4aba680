import { expect, test } from 'vitest'
import type { Verb } from '../../../src/peer/auth/access.ts'
import { may, verbs } from '../../../src/peer/auth/access.ts'
import { composeStatement, roles } from '../../../src/peer/auth/statement.ts'
import { actor, createWorld, keyFrom } from './roster-world.ts'

const [a, b] = [actor(1), actor(2)]
const world = createWorld(a)
const all = Object.keys(verbs) as Verb[] // because: keys of the table are verbs

function stateWith(role: (typeof roles)[number], grants: readonly string[]) {
  const body = { key: b.key.publicKey, name: 'b', kind: 'laptop', role, grants } as const
  return world.state(
    composeStatement({ kind: 'add', body, author: a.id, key: a.key, parents: [world.found] }),
  )
}

test.each(roles)('a %s device has the rights of the table: without grants, and with every grant', (role) => {
  const bare = stateWith(role, [])
  const granted = stateWith(
    role,
    all.map((verb) => `${verb}:*`),
  )
  for (const verb of all) {
    const rule = verbs[verb][role]
    expect(may(bare, b.id, verb, 'x').allowed).toBe(rule === 'yes')
    expect(may(granted, b.id, verb, 'x').allowed).toBe(rule !== 'no')
  }
})

test('raw document writes and roster changes are for full devices, whatever is granted', () => {
  for (const verb of ['doc.write', 'roster.manage', 'pair.host', 'token.mint'] as const) {
    for (const role of ['limited', 'storage', 'guest'] as const) expect(verbs[verb][role]).toBe('no')
  }
})

test('a grant is for its verb and its object', () => {
  const state = stateWith('limited', ['space.read:abc', 'clipboard.read'])
  expect(may(state, b.id, 'space.read', 'abc').allowed).toBe(true)
  expect(may(state, b.id, 'space.read', 'abcd').allowed).toBe(false)
  expect(may(state, b.id, 'space.read').allowed).toBe(false)
  expect(may(state, b.id, 'space.write', 'abc').allowed).toBe(false)
  expect(may(state, b.id, 'clipboard.read').allowed).toBe(true)
  expect(may(state, b.id, 'clipboard.write').allowed).toBe(false)
})

test('strangers, removed devices, devices of disputed keys and unknown verbs get nothing', () => {
  const addB = world.add(a, b, [world.found])
  const removed = world.state(addB, world.remove(a, b, [addB]))
  const disputed = world.state(
    addB,
    world.rotate(b, keyFrom(20), [addB]),
    world.rotate(b, keyFrom(21), [addB]),
  )
  for (const verb of all) {
    expect(may(world.state(), undefined, verb).allowed).toBe(false)
    expect(may(world.state(), b.id, verb).allowed).toBe(false)
    expect(may(removed, b.id, verb).allowed).toBe(false)
    expect(may(disputed, b.id, verb).allowed).toBe(false)
  }
  for (const verb of ['', 'toString', '__proto__', 'constructor', 'doc.erase']) {
    // because: what a caller in another language, or a later version, might ask
    expect(may(world.state(addB), a.id, verb as Verb).allowed).toBe(false)
  }
})
