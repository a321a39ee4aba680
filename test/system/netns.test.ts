/** The network lab itself: what it says it does to the network really happens, and nothing stays behind. */
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { describeWith } from '../support/needs.ts'
import { mustRun, sendSignal } from '../support/netns-commands.ts'
import { createLab, type Lab } from '../support/netns.ts'

/** @returns how many of `count` pings were answered. */
async function ping(lab: Lab, from: number, to: string, count = 2): Promise<number> {
  const args = ['-n', '-c', String(count), '-i', '0.01', '-W', '0.3', to]
  const { stdout } = await lab.exec(from, 'ping', args, { timeoutMs: 60_000 })
  return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0)
}

async function reaches(lab: Lab, from: number, to: number): Promise<boolean> {
  return (await ping(lab, from, lab.addressOf(to))) > 0
}

/** Sends bytes over TCP from one host to another. @returns the rate the receiver saw, in Mbit/s. */
async function measureMbit(lab: Lab, from: number, to: number, sizeBytes: number): Promise<number> {
  const receiver = `
    const server = require('node:net').createServer((socket) => {
      let size = 0
      const started = performance.now()
      socket.on('data', (part) => (size += part.length))
      socket.on('end', () => {
        console.log(JSON.stringify({ mbit: (size * 8) / 1000 / (performance.now() - started), size }))
        socket.end()
        server.close()
      })
    })
    server.listen(4000, '0.0.0.0', () => console.error('ready'))`
  const sender = `
    const socket = require('node:net').connect(4000, '${lab.addressOf(to)}', () => socket.end(Buffer.alloc(${sizeBytes})))
    socket.resume()`
  const server = lab.spawn(to, process.execPath, ['-e', receiver], { stdio: ['ignore', 'pipe', 'pipe'] })
  if (server.stdout === null || server.stderr === null) throw new Error('pipes were asked for')
  await once(server.stderr, 'data')
  const answer = text(server.stdout)
  const sent = await lab.exec(from, process.execPath, ['-e', sender], { timeoutMs: 60_000 })
  expect(sent).toMatchObject({ code: 0 })
  const { mbit, size } = JSON.parse(await answer) as { mbit: number; size: number } // because: printed above
  expect(size).toBe(sizeBytes)
  return mbit
}

async function labNamespaces(): Promise<readonly string[]> {
  const listed = await mustRun('ip', ['netns', 'list'])
  return listed.split('\n').filter((line) => line.startsWith(`skein-${process.pid}-`))
}

describeWith(['ip', 'tc', 'nft', 'ping', 'netns'], 'network lab', () => {
  test('connects all hosts and nothing else, and leaves nothing behind', async () => {
    {
      await using lab = await createLab({ hosts: 3 })
      expect(await reaches(lab, 0, 1)).toBe(true)
      expect(await reaches(lab, 2, 0)).toBe(true)
      const { stdout } = await lab.exec(0, 'ip', ['-o', 'link', 'show'])
      const interfaces = stdout.split('\n').map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1])
      expect(new Set(interfaces.filter((name) => name === 'lo' || name === 'eth0'))).toEqual(
        new Set(['lo', 'eth0']),
      )
      const routes = await lab.exec(0, 'ip', ['route'])
      expect(routes.stdout).not.toContain('default')
      expect(await labNamespaces()).toHaveLength(4)
    }
    expect(await labNamespaces()).toEqual([])
  })

  test('two labs exist side by side and cannot reach each other', async () => {
    await using one = await createLab({ hosts: 2, withDefaultRoute: true })
    await using two = await createLab({ hosts: 2 })
    expect(one.addressOf(1)).not.toBe(two.addressOf(1))
    expect(await reaches(one, 0, 1)).toBe(true)
    expect(await reaches(two, 0, 1)).toBe(true)
    expect(await ping(one, 0, two.addressOf(0))).toBe(0)
  })

  test('cuts a link both ways and heals it', async () => {
    await using lab = await createLab({ hosts: 3 })
    await lab.cut(0, 1)
    expect(await reaches(lab, 0, 1)).toBe(false)
    expect(await reaches(lab, 1, 0)).toBe(false)
    expect(await reaches(lab, 0, 2)).toBe(true)
    await lab.heal(0, 1)
    expect(await reaches(lab, 0, 1)).toBe(true)
  })

  test('cuts one way only', async () => {
    await using lab = await createLab({ hosts: 2 })
    const receiver = `
      const socket = require('node:dgram').createSocket('udp4')
      socket.on('message', () => { console.log('got'); process.exit() })
      socket.bind(4001, () => console.error('ready'))
      setTimeout(() => { console.log('nothing'); process.exit() }, 1000)`
    const hears = async (from: number, to: number): Promise<boolean> => {
      const child = lab.spawn(to, process.execPath, ['-e', receiver], { stdio: ['ignore', 'pipe', 'pipe'] })
      if (child.stdout === null || child.stderr === null) throw new Error('pipes were asked for')
      await once(child.stderr, 'data')
      const answer = text(child.stdout)
      const sender = `const s = require('node:dgram').createSocket('udp4'); s.send('x', 4001, '${lab.addressOf(to)}', () => s.close())`
      await lab.exec(from, process.execPath, ['-e', sender])
      return (await answer).trim() === 'got'
    }
    // Both hosts know each other's hardware address first: ARP needs both directions.
    expect(await reaches(lab, 0, 1)).toBe(true)
    await lab.cutOneWay(0, 1)
    expect(await hears(0, 1)).toBe(false)
    expect(await hears(1, 0)).toBe(true)
    await lab.heal()
    expect(await hears(0, 1)).toBe(true)
  })

  test('partitions hosts into groups', async () => {
    await using lab = await createLab({ hosts: 4 })
    await lab.partition([
      [0, 1],
      [2, 3],
    ])
    expect(await reaches(lab, 0, 1)).toBe(true)
    expect(await reaches(lab, 2, 3)).toBe(true)
    expect(await reaches(lab, 1, 2)).toBe(false)
    await lab.heal()
    expect(await reaches(lab, 1, 2)).toBe(true)
  })

  test('loses about the asked share of packets', async () => {
    await using lab = await createLab({ hosts: 2 })
    await lab.loss(1, 30)
    // Both directions are lossy, so 0.7 * 0.7 = 49 % of 300 pings return: 147, standard deviation 8.7.
    const answered = await ping(lab, 0, lab.addressOf(1), 300)
    expect(answered).toBeGreaterThan(95)
    expect(answered).toBeLessThan(200)
    await lab.loss(1, 0)
    expect(await ping(lab, 0, lab.addressOf(1), 50)).toBe(50)
  })

  test('squeezes a host to a rate, both ways, and lets go', async () => {
    await using lab = await createLab({ hosts: 2 })
    expect(await measureMbit(lab, 0, 1, 4_000_000)).toBeGreaterThan(40)
    await lab.squeeze(1, 8)
    const down = await measureMbit(lab, 0, 1, 2_000_000)
    const up = await measureMbit(lab, 1, 0, 2_000_000)
    for (const mbit of [down, up]) {
      expect(mbit).toBeGreaterThan(4)
      expect(mbit).toBeLessThan(10)
    }
    await lab.squeeze(1, null)
    expect(await measureMbit(lab, 0, 1, 4_000_000)).toBeGreaterThan(40)
  })

  test('stalls a host for a while', async () => {
    await using lab = await createLab({ hosts: 2 })
    expect(await reaches(lab, 0, 1)).toBe(true)
    const stalled = lab.stall(1, 1_500)
    await expect.poll(() => reaches(lab, 0, 1), { timeout: 1_400 }).toBe(false)
    await stalled
    expect(await reaches(lab, 0, 1)).toBe(true)
  })

  test('takes a link down and up and keeps the default route over it', async () => {
    await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
    await lab.linkDown(0)
    expect(await reaches(lab, 1, 0)).toBe(false)
    await lab.linkUp(0)
    await expect.poll(() => reaches(lab, 1, 0)).toBe(true)
    expect((await lab.exec(0, 'ip', ['route'])).stdout).toContain('default via')
  })

  test('changes an address', async () => {
    await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
    const old = lab.addressOf(0)
    const changed = old.replace(/\d+$/, '77')
    await lab.changeAddress(0, changed)
    expect(lab.addressOf(0)).toBe(changed)
    expect(await ping(lab, 1, changed)).toBeGreaterThan(0)
    expect(await ping(lab, 1, old)).toBe(0)
    expect((await lab.exec(0, 'ip', ['route'])).stdout).toContain('default via')
  })

  test('adds a default route that leads nowhere, and removes default routes', async () => {
    await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
    await lab.addDummyVpn(0)
    const viaVpn = await lab.exec(0, 'ip', ['route', 'get', '192.0.2.1'])
    expect(viaVpn.stdout).toContain('dev vpn0')
    expect(await reaches(lab, 0, 1)).toBe(true)
    await lab.removeDummyVpn(0)
    expect((await lab.exec(0, 'ip', ['route', 'get', '192.0.2.1'])).stdout).toContain('dev eth0')
    await lab.addDummyVpn(0)
    await lab.removeDefaultRoute(0)
    expect((await lab.exec(0, 'ip', ['route', 'get', '192.0.2.1'])).code).not.toBe(0)
  })

  test('ends the processes it started, and removes labs that a crashed process left', async () => {
    const crashing = `
      import { createLab } from ${JSON.stringify(new URL('../support/netns.ts', import.meta.url).href)}
      const lab = await createLab({ hosts: 1 })
      lab.spawn(0, 'sleep', ['600'], { stdio: 'ignore', detached: true })
      console.log(lab.namespaceOf(0))
      await new Promise((resolve) => setTimeout(resolve, 200))
      process.kill(process.pid, 'SIGKILL')`
    let pid = 0
    let stale = ''
    {
      await using lab = await createLab({ hosts: 1 })
      pid = lab.spawn(0, 'sleep', ['600'], { stdio: 'ignore' }).pid ?? 0
      expect(sendSignal(pid, 0)).toBe(true)
      const args = ['--input-type=module', '-e', crashing]
      stale = (await lab.exec(0, process.execPath, args)).stdout.trim()
      expect(stale).toMatch(/^skein-\d+-1-h0$/)
      expect(await mustRun('ip', ['netns', 'list'])).toContain(stale)
    }
    expect(sendSignal(pid, 0)).toBe(false)
    await using next = await createLab({ hosts: 1 })
    expect(next.hostCount).toBe(1)
    expect(await mustRun('ip', ['netns', 'list'])).not.toContain(stale)
  })
})
