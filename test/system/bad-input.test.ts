/**
 * A damaged home, a taken port, no network, harmful names: real peers say what is wrong and what to do, lose
 * nothing, and come up again once it was done.
 */
import { spawn } from 'node:child_process'
import {
  chmod,
  cp,
  mkdtemp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DoctorCheck, SpaceStatus, Status } from '../../src/peer/api.ts'
import { findHarmful } from '../support/harmful-text.ts'
import { describeWith } from '../support/needs.ts'
import type { CommandOutcome, Launch } from '../support/skein.ts'
import { createSkeinPeer, until } from '../support/skein.ts'

const entry = fileURLToPath(new URL('../../bin/skein.js', import.meta.url))

/** Alone on a loopback interface, so that nothing of the machine's network counts. */
const alone: Launch = (file, args) =>
  spawn('unshare', ['-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', file, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })

async function flip(path: string, share: number): Promise<void> {
  const bytes = await readFile(path)
  const at = Math.floor(bytes.byteLength * share)
  bytes[at] = (bytes[at] ?? 0) ^ 0x40
  await writeFile(path, bytes)
}

async function find(directory: string, start: string): Promise<string> {
  const name = (await readdir(directory)).find((one) => one.startsWith(start))
  if (name === undefined) throw new Error(`no ${start} in ${directory}`)
  return join(directory, name)
}

interface Damage {
  readonly what: string
  /** @returns the path that the message must name. */
  readonly damage: (home: string) => Promise<string>
  /** What the fix must say. */
  readonly fix: RegExp
  /** What a person does about it, when it is not to start over. */
  readonly mend?: (path: string, home: string) => Promise<void>
}

const moveAway = (path: string): Promise<void> => rename(path, `${path}.damaged`)
const flipped =
  (at: string, start: string, share = 0.5) =>
  async (home: string): Promise<string> => {
    const path = await find(join(home, at), start)
    await flip(path, share)
    return path
  }

const damages: readonly Damage[] = [
  { what: 'the identity flipped', damage: flipped('keep/secret', 'identity'), fix: /backup/ },
  {
    what: 'the identity gone',
    async damage(home) {
      await rm(join(home, 'keep/secret/identity.value'))
      return home
    },
    fix: /backup/,
  },
  {
    what: 'the identity readable by others',
    async damage(home) {
      const path = join(home, 'keep/secret/identity.value')
      await chmod(path, 0o644)
      return path
    },
    fix: /chmod 600/,
    mend: (path) => chmod(path, 0o600),
  },
  { what: 'the roster flipped in the middle', damage: flipped('keep', 'roster-', 0.3), fix: /backup/ },
  {
    what: 'the mesh key flipped',
    damage: flipped('keep/secret', 'mesh-key'),
    fix: /^mv /,
    mend: moveAway,
  },
  { what: 'the audit log flipped', damage: flipped('keep', 'audit.log', 0.2), fix: /^mv /, mend: moveAway },
  { what: 'the list of folders flipped', damage: flipped('keep', 'spaces'), fix: /^mv /, mend: moveAway },
  {
    what: 'settings that are not JSON',
    async damage(home) {
      const path = join(home, 'settings.json')
      await writeFile(path, '{"listen": [')
      return path
    },
    fix: /correct it/,
    mend: (path) => rm(path),
  },
  {
    what: 'settings that mean nothing',
    async damage(home) {
      const path = join(home, 'settings.json')
      await writeFile(path, '{"listen": ["nonsense"]}')
      return 'nonsense'
    },
    fix: /such as/,
    mend: (_path, home) => rm(join(home, 'settings.json')),
  },
  {
    what: 'a damaged lock',
    async damage(home) {
      await writeFile(join(home, 'lock/999'), '{bad')
      return join(home, 'lock')
    },
    fix: /rm -r/,
    mend: (path) => rm(path, { recursive: true }),
  },
  {
    what: 'a file in place of the logs',
    async damage(home) {
      await rm(join(home, 'logs'), { recursive: true })
      await writeFile(join(home, 'logs'), '')
      return join(home, 'logs')
    },
    fix: /^move it away/,
    mend: moveAway,
  },
]

describeWith(['ip', 'netns', 'nsenter'], 'a damaged home', () => {
  let base = ''
  const folder = (): string => join(base, 'folder')
  const skein = (home: string, ...args: readonly string[]): Promise<CommandOutcome> =>
    runAlone([entry, ...args, '--home', home])

  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'skein-bad-'))
    await mkdir(folder())
    await writeFile(join(folder(), 'precious.txt'), 'precious')
    const home = join(base, 'good')
    expect((await skein(home, 'up')).code).toBe(0)
    expect((await skein(home, 'share', folder())).code).toBe(0)
    expect((await skein(home, 'rename', 'first')).code).toBe(0)
    expect((await skein(home, 'rotate')).code).toBe(0)
    await skein(home, 'down')
    // The host of the former key is let go of at once when there is nobody to meet
    expect((await skein(home, 'logs')).stdout).not.toContain('stop was not clean')
  })
  afterAll(() => rm(base, { recursive: true, force: true }))

  test.each(damages)('$what: the start says so and what to do, and nothing is lost', async (one) => {
    const home = await mkdtemp(join(base, 'home-'))
    await cp(join(base, 'good'), home, { recursive: true, preserveTimestamps: true })
    await chmod(home, 0o700)
    const path = await one.damage(home)
    const before = await snapshot(home)

    const failed = await skein(home, 'up', '--json')
    const { error } = JSON.parse(failed.stdout) as { error: { code: string; message: string; fix: string } } // because: --json
    expect(failed.code).toBe(1)
    expect(`${error.message} ${error.fix}`).toContain(path)
    expect(error.fix).toMatch(one.fix)
    const after = await snapshot(home)
    // Logs may have grown, nothing may have shrunk or changed
    for (const [name, hex] of Object.entries(before))
      expect({ name, isKept: after[name]?.startsWith(hex) }).toEqual({ name, isKept: true })
    const checks = JSON.parse((await skein(home, 'doctor', '--json')).stdout) as DoctorCheck[] // because: --json
    expect(
      checks.filter((check) => !check.ok && check.name !== 'background peer').length,
    ).toBeGreaterThanOrEqual(one.what.includes('lock') ? 0 : 1)
    expect((await skein(home, 'logs')).code).toBe(0)

    if (one.mend === undefined) return
    await one.mend(path, home)
    const up = await skein(home, 'up', '--json')
    expect(up).toMatchObject({ code: 0 })
    expect((JSON.parse(up.stdout) as Status).name).toBe('first') // because: --json
    expect(await readFile(join(folder(), 'precious.txt'), 'utf8')).toBe('precious')
    await skein(home, 'down')
  })

  test('a flipped manifest of the store is mended at the start, and said; the folder goes on', async () => {
    const home = await mkdtemp(join(base, 'home-'))
    await cp(join(base, 'good'), home, { recursive: true, preserveTimestamps: true })
    await chmod(home, 0o700)
    await flipped('data/documents/level', 'MANIFEST')(home)
    expect(await skein(home, 'up')).toMatchObject({ code: 0 })
    expect((await skein(home, 'logs')).stdout).toMatch(/warn .*put together again from its documents/)
    await writeFile(join(folder(), 'later.txt'), 'later')
    expect((await skein(home, 'sync', '--timeout', '20s')).code).toBe(0)
    const spaces = JSON.parse((await skein(home, 'spaces', '--json')).stdout) as SpaceStatus[] // because: --json
    expect(spaces.map(({ state, fileCount }) => [state, fileCount])).toEqual([['in-sync', 2]])
    expect(await readFile(join(folder(), 'precious.txt'), 'utf8')).toBe('precious')
    await skein(home, 'down')
  })

  test('a torn tail of the roster is cut off, said and kept beside it', async () => {
    const home = await mkdtemp(join(base, 'home-'))
    await cp(join(base, 'good'), home, { recursive: true })
    await chmod(home, 0o700)
    const path = await find(join(home, 'keep'), 'roster-')
    await truncate(path, (await readFile(path)).byteLength - 7)
    expect((await skein(home, 'up')).code).toBe(0)
    expect((await skein(home, 'logs')).stdout).toContain('cut a torn record off a log')
    expect((await readFile(path.replace(/log$/, 'torn'))).byteLength).toBeGreaterThan(0)
    await skein(home, 'down')
  })

  test('a home that is no directory, belongs to others, is open to others or cannot be made', async () => {
    const file = join(base, 'file')
    await writeFile(file, '')
    const open = join(base, 'open')
    await mkdir(open)
    await chmod(open, 0o777)
    for (const [home, fix] of [
      [file, 'move that file away'],
      [join(file, 'below'), 'move that file away'],
      [open, 'chmod 700'],
      ['/proc/nowhere/home', 'another home'],
    ] as const) {
      const { code, stderr } = await skein(home, 'up')
      expect({ home, code }).toEqual({ home, code: 1 })
      expect(stderr).toContain(fix)
    }
  })
})

/** The files that hold something, with their bytes; lock and log files change by themselves. */
async function snapshot(home: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {}
  for (const part of ['keep', 'keep/secret', 'data/documents']) {
    for (const entryOf of await readdir(join(home, part), { withFileTypes: true })) {
      if (!entryOf.isFile() || entryOf.name.endsWith('.torn')) continue
      const name = join(part, entryOf.name)
      if (name !== 'data/documents/witness') found[name] = (await readFile(join(home, name))).toString('hex')
    }
  }
  return found
}

function runAlone(args: readonly string[], setUp = 'ip link set lo up'): Promise<CommandOutcome> {
  const child = spawn('unshare', ['-n', 'sh', '-c', `${setUp}; exec "$@"`, 'sh', process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return new Promise((resolve, reject) => {
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }))
  })
}

describeWith(['ip', 'netns', 'nsenter'], 'the place a peer runs in', () => {
  test('a second process on one home is told of the first, and `skein up` uses it', async () => {
    await using peer = await createSkeinPeer({ name: 'one', launch: alone })
    const { pid } = await peer.up()
    const second = await peer.run('up', '--foreground')
    expect(second.code).toBe(1)
    expect(second.stderr).toMatch(new RegExp(`process ${pid}`))
    expect(second.stderr).toContain('skein down')
    expect(await peer.up()).toMatchObject({ pid, wasRunning: true })
  })

  test('a port in use is named, with what to do', async () => {
    await using first = await createSkeinPeer({
      name: 'first',
      upArgs: ['--listen', '127.0.0.1:45171', '--no-discovery'],
    })
    await using second = await createSkeinPeer({
      name: 'second',
      upArgs: ['--listen', '127.0.0.1:45171', '--no-discovery'],
    })
    await first.up()
    const { code, stderr } = await second.run('up', '--listen', '127.0.0.1:45171', '--no-discovery')
    expect(code).toBe(1)
    expect(stderr).toContain('port 45171')
    expect(stderr).toContain('--listen')
    expect((await second.run('up', '--listen', '127.0.0.1:0', '--no-discovery')).code).toBe(0)
  })

  test.each([
    ['no interface at all', 'true'],
    ['only the loopback interface', 'ip link set lo up'],
    ['no IPv6', 'ip link set lo up; sysctl -qw net.ipv6.conf.all.disable_ipv6=1'],
  ])('%s: the peer works on its own and doctor says why nobody is found', async (_what, setUp) => {
    const home = await mkdtemp(join(tmpdir(), 'skein-offline-'))
    const folder = join(home, 'folder')
    const run = (...args: readonly string[]): Promise<CommandOutcome> =>
      runAlone([entry, ...args, '--home', join(home, 'home')], setUp)
    try {
      await mkdir(folder)
      await writeFile(join(folder, 'a'), 'a')
      expect((await run('up')).code).toBe(0)
      expect((await run('share', folder)).code).toBe(0)
      expect((await run('clip', 'set', 'x')).code).toBe(0)
      const doctor = await run('doctor')
      expect(doctor.stdout).toContain('no network interface is up')
      expect(doctor.stdout).toContain('connect to a network')
      expect((await run('sync', '--timeout', '10s')).code).toBe(0)
    } finally {
      await run('down')
      await rm(home, { recursive: true, force: true })
    }
  })
})

describe('names that would steer a terminal or a page', () => {
  const harmful = 'x\u001b[2J\u202e<img src=x onerror=alert(1)>\u0007\u2066'

  test('are refused for devices, and shown escaped for folders and files, in every verb', async () => {
    const base = await mkdtemp(join(tmpdir(), 'skein-names-'))
    await using peer = await createSkeinPeer({
      name: 'names',
      upArgs: ['--listen', '127.0.0.1:0', '--no-discovery'],
    })
    try {
      expect(await peer.run('up', '--name', harmful, '--no-discovery')).toMatchObject({ code: 1 })
      await peer.up()
      expect((await peer.run('rename', harmful)).code).not.toBe(0)
      const directory = join(base, harmful.replaceAll('/', ''))
      await mkdir(directory)
      await writeFile(join(directory, `${harmful.replaceAll('/', '')}.txt`), 'x')
      await peer.json('share', directory, '--name', harmful.slice(0, 20))
      await peer.json('clip', 'set', `${harmful} in the clipboard`)
      const [space] = (
        await until('synced', async () => {
          const found = await peer.json<SpaceStatus[]>('spaces')
          return found[0]?.state === 'in-sync' && found
        })
      ).value
      expect(space?.name).toBe(harmful.slice(0, 20))
      for (const args of [
        ['status'],
        ['spaces'],
        ['devices'],
        ['logs', '--lines', '500'],
        ['doctor'],
        ['audit'],
        ['metrics'],
        ['clip', 'history'],
        ['sync'],
        ['join', harmful, '/tmp/nowhere-at-all'],
        ['revoke', harmful, '--yes'],
        ['unshare', harmful],
      ]) {
        const plain = await peer.run(...args)
        expect({ args, found: findHarmful(plain.stdout + plain.stderr, true) }).toEqual({ args, found: [] })
        const json = await peer.run(...args, '--json')
        expect({ args, found: findHarmful(json.stdout, true) }).toEqual({ args, found: [] })
        for (const line of json.stdout.split('\n').filter((text) => text !== '')) JSON.parse(line)
      }
    } finally {
      await rm(base, { recursive: true, force: true })
    }
  })
})
