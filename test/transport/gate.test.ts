/** Who gets in: members, strangers only to pair and only while the window is open, nobody once removed. */
import { expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import type { Connection, Host, Lane } from '../../src/base/link.ts'
import { createMembership, startHost, type TestMembership } from './hosts.ts'

const member = '/test/member/1'
const pairing = '/test/pairing/1'
const lanes: readonly Lane[] = ['control', 'bulk']

async function guarded(): Promise<
  { host: Host; roster: TestMembership; inbound: Connection[] } & AsyncDisposable
> {
  const roster = createMembership()
  const host = await startHost({ membership: roster })
  const inbound: Connection[] = []
  host.onConnection((connection) => inbound.push(connection))
  host.handle(member, 'member', (channel) => channel.receive(() => undefined))
  host.handle(pairing, 'pairing', (channel) => channel.receive(() => undefined))
  return { host, roster, inbound, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() }
}

for (const lane of lanes) {
  test(`a stranger is dropped before any protocol (${lane})`, async () => {
    await using server = await guarded()
    await using stranger = await startHost({ addresses: [] })
    const attempt = async (): Promise<void> => {
      const connection = await stranger.dial(server.host.peerId, server.host.addresses(), { lane })
      await connection.open(pairing)
    }
    await expect(attempt()).rejects.toMatchObject({ code: 'peer.gone' })
    expect(server.inbound).toHaveLength(0)
  })

  test(`a member opens both kinds of protocol (${lane})`, async () => {
    await using server = await guarded()
    await using friend = await startHost({ addresses: [] })
    server.roster.members.add(friend.peerId)
    const connection = await friend.dial(server.host.peerId, server.host.addresses(), { lane })
    await (await connection.open(member)).close()
    server.roster.isOpen = true
    await (await connection.open(pairing)).close()
  })

  test(`in a pairing window a stranger opens one pairing channel and nothing else (${lane})`, async () => {
    await using server = await guarded()
    server.roster.isOpen = true
    await using stranger = await startHost({ addresses: [] })
    const connection = await stranger.dial(server.host.peerId, server.host.addresses(), { lane })
    await expect(connection.open(member)).rejects.toMatchObject({ code: 'auth.denied' })
    const channel = await connection.open(pairing)
    await expect(connection.open(pairing)).rejects.toMatchObject({ code: 'peer.gone' })
    await channel.close()
  })

  test(`when the window closes strangers are cut, members stay (${lane})`, async () => {
    await using server = await guarded()
    server.roster.isOpen = true
    await using stranger = await startHost({ addresses: [] })
    await using friend = await startHost({ addresses: [] })
    server.roster.members.add(friend.peerId)
    const theirs = await stranger.dial(server.host.peerId, server.host.addresses(), { lane })
    const ours = await friend.dial(server.host.peerId, server.host.addresses(), { lane })
    const channel = await theirs.open(pairing)
    const kept = await ours.open(member)
    server.roster.isOpen = false
    await expect(theirs.open(pairing)).rejects.toMatchObject({
      code: expect.stringMatching(/auth.denied|peer.gone/),
    })
    server.host.recheck()
    expect(await channel.closed).toMatchObject({ code: 'channel.aborted' })
    await theirs.closed
    await kept.close()
    expect(await kept.closed).toBeUndefined()
  })

  test(`a removed member is cut and may not come back; a paired stranger may open all (${lane})`, async () => {
    await using server = await guarded()
    await using friend = await startHost({ addresses: [] })
    server.roster.members.add(friend.peerId)
    const connection = await friend.dial(server.host.peerId, server.host.addresses(), { lane })
    const channel = await connection.open(member)
    server.roster.members.delete(friend.peerId)
    // Pairing being open does not keep what was opened as a member
    server.roster.isOpen = true
    server.host.recheck()
    expect(await channel.closed).toMatchObject({ code: 'channel.aborted' })
    await connection.closed
    const again = await friend.dial(server.host.peerId, server.host.addresses(), { lane })
    await expect(again.open(member)).rejects.toMatchObject({ code: 'auth.denied' })
    server.roster.members.add(friend.peerId)
    server.host.recheck()
    const opened = await Promise.all([again.open(member), again.open(member), again.open(member)])
    for (const each of opened) await each.close()
  })
}

test('strangers in a pairing window are few', async () => {
  await using server = await guarded()
  server.roster.isOpen = true
  await using strangers = new AsyncDisposableStack()
  let opened = 0
  for (let index = 0; index < limits.pairingConnections + 2; index++) {
    const stranger = strangers.use(await startHost({ addresses: [] }))
    try {
      const connection = await stranger.dial(server.host.peerId, server.host.addresses(), { lane: 'bulk' })
      await connection.open(pairing)
      opened++
    } catch (error) {
      expect(error).toMatchObject({ code: 'peer.gone' })
    }
  }
  expect(opened).toBe(limits.pairingConnections)
})

test('a member holds a bounded number of connections and streams', async () => {
  await using server = await guarded()
  await using friend = await startHost({ addresses: [] })
  server.roster.members.add(friend.peerId)
  const dial = (): Promise<Connection> =>
    friend.dial(server.host.peerId, server.host.addresses(), { lane: 'bulk' })
  const first = await dial()
  await Promise.all(Array.from({ length: limits.streamsPerPeer }, () => first.open(member)))
  await expect(first.open(member)).rejects.toMatchObject({
    code: expect.stringMatching(/peer.gone|limit.exceeded/),
  })
  for (let index = 1; index < limits.connectionsPerPeer; index++) await (await dial()).open(member)
  const tooMany = async (): Promise<unknown> => (await dial()).open(member)
  await expect(tooMany()).rejects.toMatchObject({ code: 'peer.gone' })
  expect(server.inbound).toHaveLength(limits.connectionsPerPeer)
})
