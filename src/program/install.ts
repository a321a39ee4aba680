/**
 * Unit files for service managers, as text: systemd for the user, launchd for the user. Pure functions; whoever
 * writes them decides where, and nothing is ever enabled without being asked.
 */
import { dirname, join } from 'node:path'

export interface ServiceFacts {
  /** Absolute paths. */
  readonly nodePath: string
  readonly nodeOptions: readonly string[]
  readonly daemonPath: string
  readonly home: string
  readonly compileCachePath: string
  readonly userDirectory: string
}

export interface ServiceUnit {
  /** Where it belongs, absolute. */
  readonly path: string
  readonly text: string
  /** What the person runs to switch it on, and off. */
  readonly enable: readonly string[]
  readonly disable: readonly string[]
}

/** @returns undefined on systems that have neither. */
export function createServiceUnit(platform: NodeJS.Platform, facts: ServiceFacts): ServiceUnit | undefined {
  if (platform === 'linux') return systemdUnit(facts)
  if (platform === 'darwin') return launchdUnit(facts)
  return undefined
}

function systemdUnit(facts: ServiceFacts): ServiceUnit {
  return {
    path: join(facts.userDirectory, '.config', 'systemd', 'user', 'skein.service'),
    text: formatSystemdUnit(facts),
    enable: [
      'systemctl --user daemon-reload',
      'systemctl --user enable --now skein',
      'loginctl enable-linger',
    ],
    disable: ['systemctl --user disable --now skein'],
  }
}

/** Limits keep a fault in the peer from becoming one of the machine; restarts are bounded. */
export function formatSystemdUnit(facts: ServiceFacts): string {
  const command = [facts.nodePath, ...facts.nodeOptions, facts.daemonPath, '--home', facts.home]
    .map((word) => quoteSystemd(word))
    .join(' ')
  return `[Unit]
Description=Skein: this device's peer
Documentation=man:systemd.service(5)
After=network.target
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=exec
ExecStart=${command}
Environment=SKEIN_QUIET=1
Environment=${quoteSystemd(`NODE_COMPILE_CACHE=${facts.compileCachePath}`, false)}
# 1: a start that a person has to mend (see: skein doctor); anything else is tried again
Restart=on-failure
RestartPreventExitStatus=1
RestartSec=2
TimeoutStopSec=20
KillMode=mixed
# Bounds on what a fault may cost the machine
MemoryHigh=1G
MemoryMax=2G
TasksMax=512
LimitNOFILE=65536
CPUWeight=50
IOWeight=50
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=default.target
`
}

/**
 * systemd.service(5) and systemd.exec(5): specifiers and C escapes are live within quotes, and in command lines
 * variables too. @param isCommand in `Environment=` a dollar sign is itself.
 */
export function quoteSystemd(word: string, isCommand = true): string {
  const escaped = word
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('%', '%%')
    .replaceAll('\n', '\\n')
  return `"${isCommand ? escaped.replaceAll('$', '$$$$') : escaped}"`
}

const launchdLabel = 'dev.skein.peer'

function launchdUnit(facts: ServiceFacts): ServiceUnit {
  const path = join(facts.userDirectory, 'Library', 'LaunchAgents', `${launchdLabel}.plist`)
  return {
    path,
    text: formatLaunchdPlist(facts),
    enable: [`launchctl bootstrap gui/$(id -u) ${quoteShell(path)}`],
    disable: [`launchctl bootout gui/$(id -u)/${launchdLabel}`],
  }
}

export function formatLaunchdPlist(facts: ServiceFacts): string {
  const words = [facts.nodePath, ...facts.nodeOptions, facts.daemonPath, '--home', facts.home]
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>${launchdLabel}</string>
  <key>ProgramArguments</key>
  <array>
${words.map((word) => `    <string>${escapeXml(word)}</string>`).join('\n')}
  </array>
  <key>WorkingDirectory</key><string>${escapeXml(dirname(facts.home))}</string>
  <key>EnvironmentVariables</key>
  <dict>
    <key>SKEIN_QUIET</key><string>1</string>
    <key>NODE_COMPILE_CACHE</key><string>${escapeXml(facts.compileCachePath)}</string>
  </dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key>
  <dict><key>SuccessfulExit</key><false/></dict>
  <key>ThrottleInterval</key><integer>10</integer>
  <key>ExitTimeOut</key><integer>20</integer>
  <key>ProcessType</key><string>Adaptive</string>
  <key>Umask</key><integer>63</integer>
  <key>SoftResourceLimits</key>
  <dict><key>NumberOfFiles</key><integer>65536</integer></dict>
</dict>
</plist>
`
}

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** One word for a POSIX shell. */
export const quoteShell = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`
