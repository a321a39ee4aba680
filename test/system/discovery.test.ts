/** Devices find each other by real multicast, as processes of their own in network namespaces. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import type { FinderProcessOptions } from '../discovery/finder-process.ts'
import { peerIdOf, report } from '../discovery/peers.ts'
import { describeWith } from '../support/needs.ts'
import { createLab, type Lab } from '../support/netns.ts'

const script = fileURLToPath(new URL('../discovery/finder-process.ts', import.meta.url))
const stranger = fileURLToPath(new URL('../discovery/stranger-process.ts', import.meta.url))
const patienceMs = 20_000

interface Line {
  readonly event: string
  readonly atMs: number
  readonly peerId?: string
  readonly addresses?: readonly string[]
  readonly nameplate?: string
  readonly strangerCount?: number
  readonly heapBytes?: number
  readonly message?: string
}

interface Device {
  readonly child: ChildProcess
  readonly lines: readonly Line[]
  tell(command: string): void
  /** The first line from `since` on (an index) that fits. */
  heard(fits: (line: Line) => boolean, since?: number): Promise<Line>
  stop(): Promise<void>
}

function run(lab: Lab, host: number, file: string, argument: object): Device {
  const child = lab.spawn(host, process.execPath, ['--expose-gc', file, JSON.stringify(argument)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines: Line[] = []
  const waiting = new Set<() => void>()
  if (child.stdout === null || child.stdin === null) throw new Error('pipes were asked for')
  const { stdin } = child
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text) as Line) // because: our own process prints it
    for (const look of waiting) look()
  })
  return {
    child,
    lines,
    tell: (command) => void stdin.write(`${command}\n`),
    heard: (fits, since = 0) =>
      new Promise((resolve, reject) => {
        const end = (): void => {
          waiting.delete(look)
          clearTimeout(timer)
        }
        const look = (): void => {
          const line = lines.slice(since).find(fits)
          if (line === undefined) return
          end()
          resolve(line)
        }
        const timer = setTimeout(() => {
          end()
          reject(
            new Error(`host ${host} did not hear it; its last lines: ${JSON.stringify(lines.slice(-5))}`),
          )
        }, patienceMs)
        waiting.add(look)
        look()
      }),
    async stop() {
      const exited = once(child, 'exit')
      stdin.write('exit\n')
      await exited
    },
  }
}

async function start(lab: Lab, host: number, options: Partial<FinderProcessOptions> = {}): Promise<Device> {
  const all: FinderProcessOptions = {
    number: host + 1,
    members: 5,
    listening: ['/ip4/0.0.0.0/tcp/4001', '/ip4/0.0.0.0/tcp/4002/tls', '/ip6/::/tcp/4001'],
    isPaired: true,
    ...options,
  }
  const device = run(lab, host, script, all)
  await device.heard(({ event }) => event === 'ready')
  return device
}

const sighted =
  (number: number, address?: string) =>
  ({ event, peerId, addresses }: Line): boolean =>
    event === 'peer.sighted' &&
    peerId === peerIdOf(number) &&
    (address === undefined || (addresses ?? []).includes(address))

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

/** From `ready` of the later one until both have sighted each other. */
async function meetingMs(one: Device, two: Device, numbers: readonly [number, number]): Promise<number> {
  const [a, b] = await Promise.all([one.heard(sighted(numbers[1])), two.heard(sighted(numbers[0]))])
  return Math.max(a.atMs, b.atMs) - (two.lines[0]?.atMs ?? 0)
}

describeWith(['ip', 'tc', 'nft', 'netns'], 'devices in one network', () => {
  test('two find each other, without a default route', async () => {
    const times: number[] = []
    for (let round = 0; round < 3; round++) {
      await using lab = await createLab({ hosts: 2 })
      const one = await start(lab, 0)
      const two = await start(lab, 1)
      times.push(await meetingMs(one, two, [1, 2]))
      const line = await one.heard(sighted(2))
      expect(line.addresses?.slice(0, 2)).toEqual([
        `/ip4/${lab.addressOf(1)}/tcp/4001`,
        `/ip4/${lab.addressOf(1)}/tcp/4002/tls`,
      ])
      expect(one.lines.filter(({ event }) => event === 'log')).toEqual([])
    }
    report(
      `no default route, two devices: ${median(times)} ms after the second was ready (${times.join(', ')})`,
    )
  })

  test('five started together all find each other, with a default route and behind a VPN that took it', async () => {
    for (const withVpn of [false, true]) {
      await using lab = await createLab({ hosts: 5, withDefaultRoute: true })
      if (withVpn) for (let host = 0; host < 5; host++) await lab.addDummyVpn(host)
      const devices = await Promise.all([0, 1, 2, 3, 4].map((host) => start(lab, host)))
      const lastReadyMs = Math.max(...devices.map(({ lines }) => lines[0]?.atMs ?? 0))
      const times: number[] = []
      for (const [index, device] of devices.entries()) {
        for (let other = 0; other < 5; other++) {
          if (other === index) continue
          const line = await device.heard(sighted(other + 1, `/ip4/${lab.addressOf(other)}/tcp/4001`))
          times.push(Math.max(0, line.atMs - lastReadyMs))
        }
      }
      report(
        `five devices${withVpn ? ' with a VPN default route' : ''}: 20 sightings, median ${median(times)} ms, last ${Math.max(...times)} ms after the last was ready`,
      )
    }
  })

  test('a changed address is known soon, without a restart', async () => {
    await using lab = await createLab({ hosts: 2 })
    const one = await start(lab, 0)
    const two = await start(lab, 1)
    await meetingMs(one, two, [1, 2])
    const address = lab.addressOf(1).replace(/\d+$/, '77')
    const since = one.lines.length
    const startedMs = Date.now()
    await lab.changeAddress(1, address)
    const line = await one.heard(sighted(2, `/ip4/${address}/tcp/4001`), since)
    await two.heard(({ event }) => event === 'network.changed')
    report(`address change: known to the other after ${line.atMs - startedMs} ms`)
    const back = one.lines.length
    await lab.linkDown(1)
    await two.heard(({ event }) => event === 'network.changed', two.lines.length - 1)
    const upMs = Date.now()
    await lab.linkUp(1)
    const again = await one.heard(sighted(2), back)
    report(`cable out and in: sighted ${again.atMs - upMs} ms after it was in`)
  })

  test('an interface that gets its address late is used as soon as it has one', async () => {
    await using lab = await createLab({ hosts: 2 })
    const one = await start(lab, 0)
    const address = lab.addressOf(1)
    await lab.exec(1, 'ip', ['address', 'flush', 'dev', 'eth0'])
    const two = await start(lab, 1)
    await delay(1_500)
    const startedMs = Date.now()
    await lab.exec(1, 'ip', ['address', 'add', `${address}/24`, 'dev', 'eth0'])
    const line = await one.heard(sighted(2, `/ip4/${address}/tcp/4001`))
    report(`late address: sighted after ${line.atMs - startedMs} ms`)
    await two.heard(sighted(1))
  })

  test('killed and started again under a new port: the new address is known at once, and first', async () => {
    await using lab = await createLab({ hosts: 2 })
    const one = await start(lab, 0)
    const two = await start(lab, 1)
    await meetingMs(one, two, [1, 2])
    const exited = once(two.child, 'exit')
    two.child.kill('SIGKILL')
    await exited
    const again = await start(lab, 1, { listening: ['/ip4/0.0.0.0/tcp/5001', '/ip4/0.0.0.0/tcp/5002/tls'] })
    const line = await one.heard(sighted(2, `/ip4/${lab.addressOf(1)}/tcp/5001`))
    report(
      `restart under a new port: sighted ${line.atMs - (again.lines[0]?.atMs ?? 0)} ms after it was ready`,
    )
    one.tell(`addresses ${peerIdOf(2)}`)
    const known = await one.heard(({ event }) => event === 'addresses')
    expect(known.addresses?.[0]).toBe(`/ip4/${lab.addressOf(1)}/tcp/5001`)
  })

  test('with IPv6 only', async () => {
    await using lab = await createLab({ hosts: 2 })
    for (const host of [0, 1])
      await lab.exec(host, 'ip', ['address', 'flush', 'dev', 'eth0', 'scope', 'global'])
    const one = await start(lab, 0)
    const two = await start(lab, 1)
    const [line] = await Promise.all([one.heard(sighted(2)), two.heard(sighted(1))])
    expect(line.addresses?.[0]).toMatch(/^\/ip6zone\/eth0\/ip6\/fe80::[0-9a-f:]+\/tcp\/4001$/)
    report(`IPv6 only: sighted ${line.atMs - (two.lines[0]?.atMs ?? 0)} ms after the second was ready`)
  })

  test('two processes on one machine, on loopback alone', async () => {
    await using lab = await createLab({ hosts: 1 })
    const one = await start(lab, 0, { interfaces: ['lo'] })
    const two = await start(lab, 0, { number: 2, interfaces: ['lo'] })
    const line = await two.heard(sighted(1))
    expect(line.addresses).toEqual([
      '/ip4/127.0.0.1/tcp/4001',
      '/ip4/127.0.0.1/tcp/4002/tls',
      '/ip6/::1/tcp/4001',
    ])
    report(`loopback: ${await meetingMs(one, two, [1, 2])} ms`)
    // Its goodbye leaves before its socket closes
    await two.stop()
    const since = one.lines.length
    one.tell(`addresses ${peerIdOf(2)}`)
    const left = await one.heard(({ event }) => event === 'addresses', since)
    expect(left.addresses).toEqual([])
    await one.stop()
  })

  test.each([
    ['the beacon alone', ['eth0']],
    ['the beacon beside our own @libp2p/mdns', undefined],
  ] as const)('open records go both ways between a stock @libp2p/mdns and %s', async (_, interfaces) => {
    await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
    // The package with its own answering and query code, on the other host
    const other = run(lab, 1, stranger, {
      mode: 'mdns',
      number: 50,
      address: `/ip4/${lab.addressOf(1)}/tcp/9001`,
    })
    await other.heard(({ event }) => event === 'ready')
    const device = await start(lab, 0, interfaces === undefined ? {} : { interfaces })
    await delay(500)
    expect(other.lines.some(({ event }) => event === 'found')).toBe(false)
    // The second round finds out whether everything starts again after an end
    for (let round = 0; round < 2; round++) {
      const [ours, theirs] = [device.lines.length, other.lines.length]
      device.tell('pair kitchen')
      const found = await other.heard(
        ({ event, peerId }) => event === 'found' && peerId === peerIdOf(1),
        theirs,
      )
      expect(found.addresses).toContain(`/ip4/${lab.addressOf(0)}/tcp/4001`)
      const met = await device.heard(
        ({ event, peerId }) => event === 'stranger.sighted' && peerId === peerIdOf(50),
        ours,
      )
      expect(met.addresses).toEqual([`/ip4/${lab.addressOf(1)}/tcp/9001`])
      device.tell('unpair')
    }
    expect(other.lines.filter(({ event }) => event === 'log')).toEqual([])
    await device.stop()
  })

  test('a new device hears the nameplate of a pairing window, and nothing once it is closed', async () => {
    await using lab = await createLab({ hosts: 2 })
    const old = await start(lab, 0)
    const fresh = await start(lab, 1, { number: 60, isPaired: false })
    fresh.tell('pair ')
    await delay(300)
    old.tell('pair 7-kitchen')
    const line = await fresh.heard(
      ({ event, nameplate }) => event === 'stranger.sighted' && nameplate === '7-kitchen',
    )
    expect(line.peerId).toBe(peerIdOf(1))
    expect(line.addresses).toContain(`/ip4/${lab.addressOf(0)}/tcp/4001`)
    expect(fresh.lines.some(({ event }) => event === 'peer.sighted')).toBe(false)
  })

  test('on an interface that has just gone nothing is said, not even on another one', async () => {
    await using lab = await createLab({ hosts: 1, withDefaultRoute: true })
    const counter = ['/sys/class/net/eth0/statistics/tx_packets']
    const sent = async (): Promise<number> => Number((await lab.exec(0, 'cat', counter)).stdout)
    await delay(3_000) // because: until the kernel has said what it says on a new IPv6 interface
    const before = await sent()
    const gone = run(lab, 0, stranger, { mode: 'gone' })
    await gone.heard(({ event }) => event === 'done')
    expect(gone.lines.filter(({ event }) => event === 'log')).toHaveLength(2)
    expect((await sent()) - before).toBeLessThanOrEqual(2)
  })

  test('forged packets change nothing that is trusted, and memory stays bounded', async () => {
    await using lab = await createLab({ hosts: 3 })
    const one = await start(lab, 0)
    const two = await start(lab, 1)
    await meetingMs(one, two, [1, 2])
    one.tell(`addresses ${peerIdOf(2)}`)
    const before = await one.heard(({ event }) => event === 'addresses')
    one.tell('pair kitchen')
    await delay(200)
    // 1,000 made-up peers, 1,000 addresses for the member, 1,000 random packets, played recordings; at 2,000 a second
    const since = one.lines.length
    const attacker = run(lab, 2, stranger, { mode: 'flood', victim: 2 })
    await attacker.heard(({ event }) => event === 'done')
    one.tell(`addresses ${peerIdOf(2)}`)
    const after = await one.heard(({ event }) => event === 'addresses', since)
    expect(after.addresses).toEqual(before.addresses)
    expect(after.strangerCount).toBeLessThanOrEqual(limits.sightings)
    const forged = one.lines
      .slice(since)
      .filter(sighted(2))
      .flatMap(({ addresses }) => addresses ?? [])
    expect(forged.filter((address) => address.includes('/tcp/666'))).toEqual([])
    const grownBytes = (after.heapBytes ?? 0) - (before.heapBytes ?? 0)
    report(
      `flood: ${after.strangerCount} strangers kept, the heap grew by ${(grownBytes / 1e6).toFixed(2)} MB`,
    )
    expect(grownBytes).toBeLessThan(8e6)
    // And it still hears the truth
    const again = one.lines.length
    await two.stop()
    await start(lab, 1)
    await one.heard(sighted(2), again)
  })
})
