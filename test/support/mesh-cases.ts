/** Things that happen to a mesh, and how long it takes to get over them: shared by the tests and the benches. */
import { setTimeout as delay } from 'node:timers/promises'
import type { MeshLab } from './mesh-lab.ts'
import { alarmsSince, downAfter, upAfter } from './mesh-lab.ts'
import type { MeshPeer } from './mesh-peer.ts'

export type RouteCase = 'default-route' | 'no-default-route' | 'vpn-route'

/** All stop, the routes change, all start at once under new ports. */
export async function formingMs(
  mesh: MeshLab,
  route: RouteCase,
): Promise<{ readonly afterReadyMs: number; readonly afterSpawnMs: number }> {
  await mesh.stopAll()
  for (const { host } of mesh.peers) {
    if (route !== 'default-route') await mesh.lab.removeDefaultRoute(host)
    if (route === 'vpn-route') await mesh.lab.addDummyVpn(host)
  }
  const { spawnMs, readyMs } = await mesh.startAll()
  const wholeMs = await mesh.whole()
  if (route === 'vpn-route') for (const { host } of mesh.peers) await mesh.lab.removeDummyVpn(host)
  // Those that were ready first need not wait for the last: then it is whole before
  return { afterReadyMs: Math.max(0, wholeMs - readyMs), afterSpawnMs: wholeMs - spawnMs }
}

/** Killed and started again. @returns ms from ready until all are connected. */
export async function restartMs(mesh: MeshLab, peer: MeshPeer): Promise<number> {
  peer.signal('SIGKILL')
  await peer.exited()
  const readyMs = await peer.start()
  return Math.max(0, (await mesh.whole()) - readyMs)
}

/** @param last of the new address. @returns ms until every other device is connected with it there. */
export async function addressChangeMs(mesh: MeshLab, peer: MeshPeer, last: number): Promise<number> {
  const { lab } = mesh
  const address = lab.addressOf(peer.host).replace(/\d+$/, String(last))
  const startMs = Date.now()
  await lab.changeAddress(peer.host, address)
  const times = await Promise.all(
    othersOf(mesh, peer).map((other) => upAfter(other, peer, startMs, `/ip4/${address}/`)),
  )
  await mesh.whole()
  return Math.max(...times)
}

/** @returns when the last of the others noticed, and when all were back. */
export async function cableMs(
  mesh: MeshLab,
  peer: MeshPeer,
  outMs: number,
): Promise<{ readonly noticedMs: number; readonly backMs: number }> {
  const startMs = Date.now()
  await mesh.lab.linkDown(peer.host)
  const noticed = await Promise.all(othersOf(mesh, peer).map((other) => downAfter(other, peer, startMs)))
  await delay(Math.max(0, startMs + outMs - Date.now()))
  const inMs = Date.now()
  await mesh.lab.linkUp(peer.host)
  return { noticedMs: Math.max(...noticed), backMs: Math.max(0, (await mesh.whole()) - inMs) }
}

export interface Outage {
  /** Ms until the last of those concerned noticed. */
  readonly noticedMs: number
  /** Ms from the end of the fault until all were connected again. */
  readonly backMs: number
}

/** All packets from and to one device are dropped, silently. */
export async function cutOff(mesh: MeshLab, peer: MeshPeer): Promise<Outage> {
  const others = othersOf(mesh, peer)
  const startMs = Date.now()
  await mesh.lab.partition([[peer.host], others.map(({ host }) => host)])
  const noticed = others.flatMap((other) => [
    downAfter(other, peer, startMs),
    downAfter(peer, other, startMs),
  ])
  const noticedMs = Math.max(...(await Promise.all(noticed)))
  const healMs = Date.now()
  await mesh.lab.heal()
  return { noticedMs, backMs: (await mesh.whole()) - healMs }
}

/** The process is frozen: its kernel still answers. */
export async function freeze(mesh: MeshLab, peer: MeshPeer): Promise<Outage> {
  const startMs = peer.signal('SIGSTOP')
  try {
    const noticedMs = await noticedBy(mesh, peer, startMs)
    const healMs = peer.signal('SIGCONT')
    return { noticedMs, backMs: Math.max(0, (await mesh.whole()) - healMs) }
  } finally {
    peer.signal('SIGCONT')
  }
}

export async function kill(mesh: MeshLab, peer: MeshPeer): Promise<Outage> {
  const startMs = peer.signal('SIGKILL')
  const noticedMs = await noticedBy(mesh, peer, startMs)
  await peer.exited()
  const readyMs = await peer.start()
  return { noticedMs, backMs: Math.max(0, (await mesh.whole()) - readyMs) }
}

/**
 * A bad network: of the packets between any two hosts 30 % are lost, each way, and one after the other the hosts are
 * cut off for a second. @returns what was called silent or down, though nobody was away for longer.
 */
export async function badWeather(
  mesh: MeshLab,
  durationMs: number,
): Promise<{ readonly suspects: number; readonly downs: number }> {
  // Lost at the one port or at the other: 1 - 0.8367 ** 2 = 0.3
  const percentPerPort = 16.33
  const startMs = Date.now()
  for (const { host } of mesh.peers) await mesh.lab.loss(host, percentPerPort)
  for (let round = 0; Date.now() < startMs + durationMs; round++) {
    await delay(Math.min(3_000, durationMs / 4))
    await mesh.lab.stall(round % mesh.peers.length, 1_000)
  }
  const alarms = alarmsSince(mesh.peers, startMs)
  await mesh.lab.heal()
  return alarms
}

export const othersOf = (mesh: MeshLab, peer: MeshPeer): readonly MeshPeer[] =>
  mesh.peers.filter((other) => other !== peer)

const noticedBy = async (mesh: MeshLab, peer: MeshPeer, startMs: number): Promise<number> =>
  Math.max(...(await Promise.all(othersOf(mesh, peer).map((other) => downAfter(other, peer, startMs)))))
