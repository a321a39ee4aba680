/** The command line as real processes: a life from the first `up` to `down`, faults, pairing, exit codes. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findHarmful } from '../support/harmful-text.ts'
import { hostileName } from '../support/hostile-name.ts'
import type { Cli } from '../support/run-cli.ts'
import { createCli } from '../support/run-cli.ts'

const timeoutMs = 60_000
const readLog = (cli: Cli): Promise<string> => readFile(join(cli.home, 'logs', 'skein.log'), 'utf8')

async function startedPid(cli: Cli): Promise<number> {
  // because: `up --json` gives the status
  return ((await cli.json(['up'])) as { readonly pid: number }).pid
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    throw error
  }
}

async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve))
}

describe('a life', { timeout: timeoutMs }, () => {
  test('the first up asks nothing and works, up again says so, down ends it, and again', async () => {
    const cli = await createCli()
    expect(await cli.run(['status'])).toMatchObject({
      code: 3,
      err: expect.stringContaining('fix: skein up'),
    })
    expect(await cli.run(['up'])).toMatchObject({ code: 0, out: expect.stringContaining('is up as') })
    expect(await cli.run(['up'])).toMatchObject({ code: 0, out: expect.stringContaining('was already up') })
    expect(await cli.json(['status'])).toMatchObject({ home: cli.home, links: [{ name: hostileName }] })
    const pid = await startedPid(cli)
    expect(await cli.run(['down'])).toMatchObject({
      code: 0,
      out: `skein is down (process ${pid} has ended)\n`,
    })
    expect(isAlive(pid)).toBe(false)
    expect(await cli.run(['down'])).toMatchObject({ code: 0, out: 'skein was not running\n' })
    await cli.run(['up'])
    expect((await readLog(cli)).match(/"wasStoppedCleanly":true/g)?.length).toBe(2)
  })

  test('of many ups at once one starts the peer and all succeed', async () => {
    const cli = await createCli()
    const pids = await Promise.all(Array.from({ length: 6 }, () => startedPid(cli)))
    expect(pids).toEqual(pids.map(() => pids[0]))
  })

  test('after kill -9 the next up just starts, and the peer is told that the stop was not clean', async () => {
    const cli = await createCli()
    const pid = await startedPid(cli)
    process.kill(pid, 'SIGKILL')
    await untilGone(pid)
    expect(await cli.run(['status'])).toMatchObject({ code: 3 })
    expect(await cli.run(['doctor'])).toMatchObject({
      code: 1,
      out: expect.stringContaining('fix: skein up'),
    })
    expect(await cli.run(['up'])).toMatchObject({ code: 0 })
    expect(await readLog(cli)).toContain('"wasStoppedCleanly":false')
  })

  test('in the foreground it logs, and SIGTERM ends it in good order', async () => {
    const cli = await createCli()
    let isTold = false
    const finished = await cli.run(['up', '--foreground', '--name', 'front'], {
      watch: (child, output) => {
        if (!isTold && output.includes('"message":"ready"')) isTold = child.kill('SIGTERM')
      },
    })
    expect(finished.code).toBe(0)
    expect(finished.err).toContain('"message":"stopped"')
    expect(await readLog(cli)).toContain('"reason":"SIGTERM"')
  })

  test('a stop that hangs is cut after its time, and does not count as clean', async () => {
    const cli = await createCli()
    await cli.run(['up'], { variables: { DOUBLE_FAULT: 'hang-on-stop' } })
    expect(await cli.run(['down'])).toMatchObject({ code: 0 })
    await cli.run(['up'])
    expect(await readLog(cli)).toContain('"wasStoppedCleanly":false')
  })

  test('a programmer error is written down and ends the process, and doctor tells', async () => {
    const cli = await createCli()
    const { code } = await cli.run(['up', '--json'], { variables: { DOUBLE_FAULT: 'crash' } })
    expect(code).toBe(0)
    while ((await cli.run(['status'])).code === 0) continue
    expect(await readLog(cli)).toContain('a broken assumption')
    expect(await cli.run(['doctor'])).toMatchObject({
      code: 1,
      out: expect.stringContaining('a broken assumption'),
    })
    expect(await cli.run(['logs'])).toMatchObject({ code: 0, out: expect.stringContaining('crashed') })
  })
})

describe('a start that fails', { timeout: timeoutMs }, () => {
  test('says why and what to do, in words and in JSON', async () => {
    const cli = await createCli()
    const variables = { DOUBLE_FAULT: 'start-error' }
    const shown = await cli.run(['up'], { variables })
    expect(shown).toMatchObject({ code: 1, out: '' })
    expect(shown.err).toBe('skein: port 4001 is in use\n  fix: skein up --listen 0.0.0.0:0\n')
    expect(await cli.json(['up'], { variables })).toEqual({
      error: { code: 'port.busy', message: 'port 4001 is in use', fix: 'skein up --listen 0.0.0.0:0' },
    })
    expect(await cli.run(['up'])).toMatchObject({ code: 0 })
  })

  test('because of settings names the file', async () => {
    const cli = await createCli()
    await cli.run(['up'])
    await cli.run(['down'])
    await writeFile(join(cli.home, 'settings.json'), '{"listen": 7}')
    expect(await cli.run(['up'])).toMatchObject({ code: 1, err: expect.stringContaining('settings.json') })
    expect(await cli.run(['up', '--listen', 'nowhere'])).toMatchObject({ code: 1 })
  })

  test('because of a bug shows it', async () => {
    const cli = await createCli()
    const shown = await cli.run(['up'], { variables: { DOUBLE_FAULT: 'start-throw' } })
    expect(shown).toMatchObject({ code: 1, err: expect.stringContaining('undefined is not a function') })
  })
})

describe('pairing', { timeout: timeoutMs }, () => {
  test('shows codes and QR, asks, and with --yes lets the joiner in', async () => {
    const cli = await createCli()
    const shown = await cli.run(['pair', '--yes'])
    expect(shown).toMatchObject({ code: 0, out: expect.stringContaining('skein pair 7-ABCD-EFGH') })
    expect(shown.out).toContain('▄▄▄▄▄')
    expect(shown.out).toMatch(
      /^ {2}kind {3}phone\n {2}at {5}10\.0\.0\.9\n {2}peer {3}12D3\w+\n {2}grant {2}full$/m,
    )
    expect(findHarmful(shown.out, true)).toEqual([])
  })

  test('where nobody can be asked nothing is let in', async () => {
    const cli = await createCli()
    const shown = await cli.run(['pair'], { input: 'y\n' })
    expect(shown).toMatchObject({ code: 4, err: expect.stringContaining('add --yes') })
    expect(shown.out).not.toContain('has joined')
  })

  test('Ctrl-C closes the window and adds nothing', async () => {
    const cli = await createCli()
    await cli.run(['up'], { variables: { DOUBLE_FAULT: 'pair-nobody' } })
    let isTold = false
    const shown = await cli.run(['pair'], {
      watch: (child, output) => {
        if (!isTold && output.includes('7-ABCD-EFGH')) isTold = child.kill('SIGINT')
      },
    })
    expect(shown.code).toBe(130)
    expect(await cli.run(['status'])).toMatchObject({ code: 0 })
  })

  test('joins by a code from the command line or standard input, and says when it is wrong', async () => {
    const cli = await createCli()
    const joined = { code: 0, out: 'Joined: this device is one of 2 now.\n' }
    expect(await cli.run(['pair', '7-ABCD-EFGH'])).toMatchObject(joined)
    expect(await cli.run(['pair', '-'], { input: '7-ABCD-EFGH\n' })).toMatchObject(joined)
    expect(await cli.run(['pair', '1-WRNG-CODE'])).toMatchObject({
      code: 4,
      err: expect.stringContaining('the code is wrong'),
    })
    expect(await cli.run(['pair', '--compare'])).toMatchObject({ code: 2 })
    expect(await cli.run(['pair', '--role', 'king'])).toMatchObject({ code: 2 })
  })
})

describe('every other verb', { timeout: timeoutMs }, () => {
  test('answers in words and in JSON, and never prints what a device put into its name', async () => {
    const cli = await createCli()
    await cli.run(['up'])
    for (const args of [
      ['status'],
      ['devices'],
      ['doctor'],
      ['logs'],
      ['spaces'],
      ['rename', 'new name'],
      ['rotate'],
      ['revoke', 'old-phone', '--yes'],
      ['token', 'mint', 'status:read', '--for', '1h'],
      ['token', 'list'],
      ['token', 'revoke', 'j1'],
      ['audit'],
      ['share', '/tmp', '--name', hostileName.slice(0, 10)],
      ['sync', '--timeout', '1s'],
      ['sync', '--wait'],
      ['spaces'],
      ['pause'],
      ['resume', 'notes'],
      ['deletions'],
      ['conflicts'],
      ['conflicts', 'show', 'x'],
      ['conflicts', 'pick', 'x', '--mine'],
      ['conflicts', 'pick', 'x', '--device', 'other'],
      ['conflicts', 'merge', 'x'],
      ['versions', 'x'],
      ['restore', 'x', '--at', '2h'],
      ['log', 'x'],
      ['ignore', 'notes', '*.o'],
      ['ignore', '--check', 'x'],
      ['scrub', 'notes'],
      ['scrub', '--status'],
      ['clip', 'set', 'a\u001b[2Jb'],
      ['clip'],
      ['clip', 'history'],
      ['clip', 'search', 'b'],
      ['clip', 'pause', '--for', '10m'],
      ['clip', 'resume'],
      ['install', '--print'],
      ['version'],
      ['metrics'],
    ]) {
      const shown = await cli.run(args)
      expect([args, shown.code, shown.err.includes('skein:')]).toEqual([args, 0, false])
      expect(findHarmful(shown.out, true)).toEqual([])
      const { out } = await cli.run([...args, '--json'])
      expect(findHarmful(out, true)).toEqual([])
      for (const line of out.trimEnd().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
    }
    expect(await cli.json(['status'])).toMatchObject({ name: 'new name' })
    expect((await cli.run(['clip', 'get'])).out).toBe('a\u001b[2Jb') // a pipe gets the bytes as they are
    expect((await cli.run(['clip', 'set'], { input: 'from a pipe\n' })).code).toBe(0)
    expect((await cli.run(['clip', 'get'])).out).toBe('from a pipe\n')
    expect((await cli.run(['clip', 'clear'])).code).toBe(2)
    expect((await cli.run(['clip', 'clear', '--yes'])).out).toContain('items are deleted')
    expect((await cli.run(['clip', 'get'])).code).toBe(1)
    expect((await cli.run(['audit', 'verify'])).code).toBe(1)
    expect((await cli.run(['revoke', 'nobody', '--yes'])).err).toContain('no device is called "nobody"')
    expect((await cli.run(['revoke', 'old-phone'])).code).toBe(2)
    expect((await cli.run(['join', 'notes', '/tmp/x'])).code).toBe(1)
  })

  test('streams go on until Ctrl-C', async () => {
    const cli = await createCli()
    await cli.run(['up'])
    const events = await cli.run(['events', '--json'], {
      watch: (child, output) =>
        void (output.split('\n').length > 20 && !child.killed && child.kill('SIGINT')),
    })
    expect(events.code).toBe(0)
    const counts = events.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).data.count)
    expect(counts).toEqual(counts.map((_count, index) => index))
    const logs = await cli.run(['logs', '-f'], {
      watch: (child, output) => void (output.includes('ready') && !child.killed && child.kill('SIGINT')),
    })
    expect(logs.code).toBe(0)
  })
})

describe('a command line that is not right', { timeout: timeoutMs }, () => {
  test('names the fault and the nearest right one, with exit code 2', async () => {
    const cli = await createCli()
    for (const [args, hint] of [
      [['stauts'], 'did you mean: skein status'],
      [['devics'], 'did you mean: skein devices'],
      [['xyzzy'], 'skein --help'],
      [['status', '--jsno'], '--jsno'],
      [['status', 'extra'], 'too many arguments'],
      [['token', 'mnt'], 'did you mean: skein token mint'],
      [['audit', 'verfy'], 'did you mean: skein audit verify'],
      [['token'], 'needs one of'],
      [['join', 'space'], 'missing'],
      [['logs', '-n', 'many'], 'no number'],
      [['token', 'mint', 'a', '--for', 'ever'], 'no length of time'],
      [['conflicts', 'pick', 'x'], '--mine'],
      [['conflicts', 'pick', 'x', '--mine', '--both'], '--mine'],
      [['restore', 'x', '--at', 'soon'], 'no time'],
      [['deletions', 'notes', '--allow', '--undo'], 'one of'],
    ] as const) {
      const shown = await cli.run(args)
      expect([args, shown.code]).toEqual([args, 2])
      expect(shown.err).toContain(hint)
    }
  })

  test('help shows examples first, for all and for each verb, and needs no peer', async () => {
    const cli = await createCli()
    const all = await cli.run(['--help'])
    expect(all.code).toBe(0)
    expect(all.out.indexOf('Examples')).toBeLessThan(all.out.indexOf('This device'))
    for (const args of [
      ['pair', '--help'],
      ['help', 'pair'],
      ['token', 'mint', '-h'],
    ]) {
      const shown = await cli.run(args)
      expect([shown.code, shown.out.split('\n')[2]]).toEqual([0, 'Examples'])
      expect(shown.out).toContain('Exit codes')
    }
  })
})
