import { describe, expect, test } from 'vitest'
import { actor, createWorld, keyFrom, names, reasonOf } from './roster-world.ts'

const [a, b, c, d] = [actor(1), actor(2), actor(3), actor(4)]
const everybody = [a, b, c, d]

describe('admission', () => {
  test('the founder and those it adds are members', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(b, c, [addB])
    const state = world.state(addB, addC)
    expect(names(state, everybody)).toEqual(['d1', 'd2', 'd3'])
    expect(state.devices.get(c.id)?.addedBy).toBe(b.id)
    expect(state.rejected).toEqual([])
  })

  test('a stranger and a limited device admit nobody', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found], 'limited')
    const byStranger = world.add(d, c, [world.found])
    const byLimited = world.add(b, d, [addB])
    const state = world.state(addB, byStranger, byLimited)
    expect(names(state, everybody)).toEqual(['d1', 'd2'])
    expect(reasonOf(state, byStranger)).toBe('its author was not a member')
    expect(reasonOf(state, byLimited)).toBe('its author may not manage the roster')
  })

  test('a device promoted by a grant may manage from there on, not before', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found], 'limited')
    const early = world.add(b, c, [addB])
    const promote = world.grant(a, b, [addB], 'full')
    const late = world.add(b, d, [promote])
    expect(names(world.state(addB, early, promote, late), everybody)).toEqual(['d1', 'd2', 'd4'])
  })

  test('statements whose parents are missing take no effect and are named', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(b, c, [addB])
    const state = world.state(addC)
    expect(names(state, everybody)).toEqual(['d1'])
    expect(reasonOf(state, addC)).toContain('missing')
  })

  test('statements of another mesh take no effect', () => {
    const world = createWorld(a)
    const other = createWorld(b)
    const addC = other.add(b, c, [other.found])
    expect(names(world.state(other.found, addC), everybody)).toEqual(['d1'])
  })
})

describe('strong removal', () => {
  test('what a removed device said concurrently is void, and with it the device it admitted', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const accomplice = world.add(b, c, [addB])
    const remove = world.remove(a, b, [addB])
    const byAccomplice = world.add(c, d, [accomplice])
    const state = world.state(addB, accomplice, remove, byAccomplice)
    expect(names(state, everybody)).toEqual(['d1'])
    expect(reasonOf(state, accomplice)).toBe('concurrent with the removal of its author')
  })

  test('a device it admitted before its removal, known to the remover, stays', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(b, c, [addB])
    const remove = world.remove(a, b, [addC])
    expect(names(world.state(addB, addC, remove), everybody)).toEqual(['d1', 'd3'])
  })

  test('a removed device cannot come back: by itself, by an old parent, by a friend, by anybody', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(a, c, [addB])
    const remove = world.remove(a, b, [addC])
    const byItself = world.add(b, b, [remove])
    const backDated = world.add(b, b, [world.found])
    const byFriend = world.add(c, b, [remove])
    const friendBackDated = world.add(c, b, [addC])
    const state = world.state(addB, addC, remove, byItself, backDated, byFriend, friendBackDated)
    expect(names(state, everybody)).toEqual(['d1', 'd3'])
  })

  test('removing the remover, its removal undone, by the accomplice it admitted concurrently', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const accomplice = world.add(b, c, [addB])
    const strike = world.remove(c, a, [accomplice])
    const remove = world.remove(a, b, [addB])
    const state = world.state(addB, accomplice, strike, remove)
    expect(names(state, everybody)).toEqual(['d1'])
  })

  test('two bad devices that both admitted one accomplice do not save it', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(a, c, [addB])
    const viaB = world.add(b, d, [addC])
    const viaC = world.add(c, d, [addC])
    const strike = world.remove(d, a, [viaB, viaC])
    const removeB = world.remove(a, b, [addC])
    const removeC = world.remove(a, c, [removeB])
    const state = world.state(addB, addC, viaB, viaC, strike, removeB, removeC)
    expect(names(state, everybody)).toEqual(['d1'])
  })

  test('mutual removal: the senior stays', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const state = world.state(addB, world.remove(a, b, [addB]), world.remove(b, a, [addB]))
    expect(names(state, everybody)).toEqual(['d1'])
  })

  test('a stolen founder cannot undo its removal later: what others had seen counts before seniority', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(a, c, [addB])
    const removeA = world.remove(c, a, [addC])
    const seen = world.witness(b, [removeA])
    const backDated = world.remove(a, c, [addC])
    const selfMade = world.add(a, d, [backDated])
    const byAccomplice = world.witness(d, [selfMade])
    const state = world.state(addB, addC, removeA, seen, backDated, selfMade, byAccomplice)
    expect(names(state, everybody)).toEqual(['d2', 'd3'])
    expect(reasonOf(state, backDated)).toBe('concurrent with the removal of its author')
  })

  test('no mutual removal: also the founder can be removed, and its concurrent acts are void', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(a, c, [addB])
    const removeA = world.remove(c, a, [addC])
    const removeB = world.remove(a, b, [addC])
    expect(names(world.state(addB, addC, removeA, removeB), everybody)).toEqual(['d2', 'd3'])
  })

  test('a circle of removals is cut at the most senior and leaves nobody both removed and obeyed', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(b, c, [addB])
    const circle = [world.remove(a, b, [addC]), world.remove(b, c, [addC]), world.remove(c, a, [addC])]
    const state = world.state(addB, addC, ...circle)
    expect(names(state, everybody)).toEqual(['d1', 'd3'])
  })

  test('a demoted device keeps its place but loses what it managed concurrently', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(b, c, [addB])
    const demote = world.grant(a, b, [addB], 'limited')
    const state = world.state(addB, addC, demote)
    expect(names(state, everybody)).toEqual(['d1', 'd2'])
    expect(state.devices.get(b.id)?.role).toBe('limited')
  })

  test('a device may leave by itself', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found], 'guest')
    expect(names(world.state(addB, world.remove(b, b, [addB])), everybody)).toEqual(['d1'])
  })
})

describe('keys', () => {
  test('rotation changes the key and nothing else; what the old key said before stays', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(b, c, [addB])
    const next = keyFrom(20)
    const rotate = world.rotate(b, next, [addC])
    const after = world.add({ ...b, key: next }, d, [rotate])
    const state = world.state(addB, addC, rotate, after)
    expect(names(state, everybody)).toEqual(['d1', 'd2', 'd3', 'd4'])
    expect(state.devices.get(b.id)?.key).toBe(next.peerId)
    expect(state.devices.get(b.id)?.retired.map((entry) => entry.key)).toEqual([b.key.peerId])
  })

  test('the old key says nothing any more: neither after the rotation nor with old parents', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const rotate = world.rotate(b, keyFrom(20), [addB])
    const after = world.add(b, c, [rotate])
    const backDated = world.add(b, d, [addB])
    const state = world.state(addB, rotate, after, backDated)
    expect(names(state, everybody)).toEqual(['d1', 'd2'])
    expect(reasonOf(state, after)).toBe('not signed by the key its author used')
    expect(reasonOf(state, backDated)).toBe('concurrent with the removal of its author')
  })

  test('two rotations of one key leave the device without any: neither side can act or connect', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const [mine, thief] = [keyFrom(20), keyFrom(21)]
    const rotations = [world.rotate(b, mine, [addB]), world.rotate(b, thief, [addB])]
    const act = world.add({ ...b, key: thief }, c, [...rotations])
    const alone = world.add({ ...b, key: thief }, d, rotations.slice(1))
    const state = world.state(addB, ...rotations, act, alone)
    expect(state.devices.get(b.id)?.key).toBeUndefined()
    expect(reasonOf(state, act)).toBe('not signed by the key its author used')
  })

  test('a key that was used before is not taken again, by rotation or admission', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const toA = world.rotate(b, a.key, [addB])
    const next = keyFrom(20)
    const rotate = world.rotate(b, next, [addB])
    const again = world.add(a, { ...c, key: next }, [rotate])
    const state = world.state(addB, rotate, again)
    expect(reasonOf(state, again)).toContain('in use before')
    expect(reasonOf(world.state(addB, toA), toA)).toContain('in use before')
  })
})

describe('recovery and names', () => {
  test('the recovery key admits a new device and removes the stolen ones, whatever they do at the same time', () => {
    const recovery = keyFrom(30)
    const world = createWorld(a, recovery)
    const addB = world.add(a, b, [world.found])
    const recover = world.recover(recovery, c, [addB], [a, b])
    const strikes = [world.add(a, d, [addB]), world.remove(b, a, [addB])]
    const state = world.state(addB, recover, ...strikes)
    expect(names(state, everybody)).toEqual(['d3'])
    expect(state.devices.get(c.id)?.role).toBe('full')
  })

  test('no other key recovers, and the recovery key does nothing else', () => {
    const recovery = keyFrom(30)
    const world = createWorld(a, recovery)
    const wrong = world.recover(keyFrom(31), c, [world.found], [a])
    const adds = world.add({ ...a, key: recovery }, d, [world.found])
    const state = world.state(wrong, adds)
    expect(names(state, everybody)).toEqual(['d1'])
    expect(reasonOf(state, wrong)).toBe('not signed by the recovery key')
    expect(reasonOf(state, adds)).toBe('not signed by the key its author used')
  })

  test('a device renames itself; others only when they are full', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found], 'limited')
    const addC = world.add(a, c, [addB], 'limited')
    const own = world.rename(b, b, [addC], 'mine')
    const bad = world.rename(b, c, [own], 'hers')
    const state = world.state(addB, addC, own, bad)
    expect(state.devices.get(b.id)?.name).toBe('mine')
    expect(state.devices.get(c.id)?.name).toBe('d3')
    expect(world.state(addB, addC, world.rename(a, c, [addC], 'ours')).devices.get(c.id)?.name).toBe('ours')
  })

  test('of two concurrent grants the one that allows less holds', () => {
    const world = createWorld(a)
    const addB = world.add(a, b, [world.found])
    const addC = world.add(a, c, [addB], 'limited')
    const state = world.state(
      addB,
      addC,
      world.grant(a, c, [addC], 'full'),
      world.grant(b, c, [addC], 'guest'),
    )
    expect(state.devices.get(c.id)?.role).toBe('guest')
  })
})
