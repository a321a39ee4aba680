/** Settings from file and command line, and the unit files. */
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  createServiceUnit,
  formatLaunchdPlist,
  formatSystemdUnit,
  quoteSystemd,
} from '../../src/program/install.ts'
import { parseListen, readSettings } from '../../src/peer/settings.ts'
import { temporaryDirectory } from '../support/temporary-home.ts'

test('a fresh home needs no settings', async () => {
  const settings = await readSettings(await temporaryDirectory())
  expect(settings).toMatchObject({
    discovery: true,
    logLevel: 'info',
    listen: [
      { host: '0.0.0.0', port: 0 },
      { host: '::', port: 0 },
    ],
  })
  expect(settings.name).not.toBe('')
})

test('the command line wins over the file, the file over the defaults', async () => {
  const home = await temporaryDirectory()
  await writeFile(
    join(home, 'settings.json'),
    JSON.stringify({ name: 'file', discovery: false, listen: ['[::1]:4001'], unknown: 1 }),
  )
  expect(await readSettings(home, { name: 'line', discovery: undefined })).toMatchObject({
    name: 'line',
    discovery: false,
    listen: [{ host: '::1', port: 4001 }],
  })
})

test('a wrong setting is named with its file and how to get out', async () => {
  const home = await temporaryDirectory()
  const path = join(home, 'settings.json')
  for (const text of [
    '{',
    '[]',
    '{"listen":"x"}',
    '{"name":""}',
    '{"discovery":"no"}',
    `{"name":"${'x'.repeat(65)}"}`,
  ]) {
    await writeFile(path, text)
    await expect(readSettings(home)).rejects.toMatchObject({
      code: 'config.invalid',
      message: expect.stringContaining(path),
    })
  }
})

test('addresses to listen on are host and port, nothing else', () => {
  expect(parseListen('127.0.0.1:0')).toEqual({ host: '127.0.0.1', port: 0 })
  expect(parseListen('[fe80::1%eth0]:4001')).toEqual({ host: 'fe80::1%eth0', port: 4001 })
  expect(parseListen('localhost:80')).toEqual({ host: '127.0.0.1', port: 80 })
  for (const text of ['', '4001', ':4001', 'example.org:1', '1.2.3.4:65536', '::1:4', '1.2.3.4:-1']) {
    expect(() => parseListen(text)).toThrow(expect.objectContaining({ code: 'config.invalid' }))
  }
})

const facts = {
  nodePath: '/opt/node 24/bin/node',
  nodeOptions: ['--expose-gc'],
  daemonPath: '/opt/skein/$HOME/100%/"daemon".js',
  home: '/home/a&<b>/skein',
  compileCachePath: '/home/a/.cache/$x/50%',
  userDirectory: '/home/a',
}

test('paths cannot break out of the unit files', () => {
  const unit = formatSystemdUnit(facts)
  expect(unit).toContain(
    'ExecStart="/opt/node 24/bin/node" "--expose-gc" "/opt/skein/$$HOME/100%%/\\"daemon\\".js" "--home" "/home/a&<b>/skein"\n',
  )
  expect(unit).toContain('Environment="NODE_COMPILE_CACHE=/home/a/.cache/$x/50%%"\n')
  expect(quoteSystemd('a\nExecStart=/bin/evil\\')).toBe('"a\\nExecStart=/bin/evil\\\\"')
  expect(formatLaunchdPlist(facts)).toContain('<string>/home/a&amp;&lt;b&gt;/skein</string>')
})

test('the unit bounds memory, tasks and files, and nothing is switched on by itself', () => {
  for (const line of ['MemoryMax=2G', 'TasksMax=512', 'LimitNOFILE=65536', 'NoNewPrivileges=yes']) {
    expect(formatSystemdUnit(facts).split('\n')).toContain(line)
  }
  const unit = createServiceUnit('linux', facts)
  expect(unit?.path).toBe('/home/a/.config/systemd/user/skein.service')
  expect(unit?.enable).toContain('systemctl --user enable --now skein')
  expect(createServiceUnit('darwin', facts)?.path).toBe('/home/a/Library/LaunchAgents/dev.skein.peer.plist')
  expect(createServiceUnit('win32', facts)).toBeUndefined()
})

const verifier = 'systemd-analyze'
const hasVerifier = spawnSync(verifier, ['--version']).status === 0

test.runIf(hasVerifier)('systemd itself finds no fault in the unit', async () => {
  const path = join(await temporaryDirectory(), 'skein.service')
  await writeFile(path, formatSystemdUnit({ ...facts, nodePath: process.execPath, daemonPath: '/x' }))
  const run = spawnSync(verifier, ['verify', '--user', path], { encoding: 'utf8' })
  expect(run.stderr).not.toContain('skein.service')
})
