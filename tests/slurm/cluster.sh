# shellcheck shell=bash
# A private Slurm on this host for tests: munged, slurmctld and two slurmd, n1 and n2, on the loopback address.
# Source it, in bash.
#   cluster_up DIR      start it and set SLURM_CONF; 1: it could not, and $cluster_why says why
#   cluster_down        end it, its jobs and all that they started
#   node_crash NODE     end the node and its jobs by SIGKILL, as a loss of power does
#   node_deaf NODE      end the node's slurmd alone: its jobs run on, and nobody knows
#   node_start NODE     bring it back
# Files lie in DIR, of at most 64 characters (a socket's name holds 108). Nothing outside DIR is written, and a
# process is ended only if its number comes from DIR and its command line or environment names this cluster.
# Shorter than Slurm's defaults, which would cost minutes: KillWait 5 s (30), SlurmdTimeout 10 s (300), 5 s until a
# job that was put back may start (120).
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
cluster_cpus=3 # of each node, whatever the host has

# A port number that nothing answers on, nor on the two after it; below those of outgoing connections.
free_port() {
    local port=$((20000 + $(cksum <<<"$cluster_dir" | cut -d' ' -f1) % 990 * 10)) p
    for ((tries = 0; tries < 50; tries++)); do
        for p in "$port" $((port + 1)) $((port + 2)); do
            ! (: <"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { port=$((20000 + (port - 19830) % 9900)) && continue 2; }
        done
        echo "$port"
        return
    done
    return 1
}

# Slurm listens on one address alone only if that is the address of the host's own name. Where it is not, the daemons
# are put into a UTS namespace with the name localhost; where that is not allowed either, they listen everywhere.
choose_host() {
    cluster_host=$(uname -n)
    cluster_host=${cluster_host%%.*}
    cluster_wrap=()
    cluster_bind=CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
    if getent ahostsv4 "$(uname -n)" | head -n 1 | grep -q '^127\.'; then
        return
    elif unshare --uts true 2>/dev/null; then
        # shellcheck disable=SC2016
        cluster_wrap=(unshare --uts sh -c 'hostname localhost && exec "$@"' sh)
        cluster_host=localhost
    else
        cluster_bind=
    fi
}

write_conf() {
    local port memory n
    port=$(free_port) || return 1
    memory=$(awk '/^MemTotal:/ {print int($2 / 1024 / 4)}' /proc/meminfo)
    cat >"$cluster_dir/slurm.conf" <<CONF
ClusterName=$cluster_name
SlurmctldHost=$cluster_host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$cluster_dir/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$cluster_dir/state
SlurmdSpoolDir=$cluster_dir/spool/%n
SlurmctldPidFile=$cluster_dir/run/slurmctld.pid
SlurmdPidFile=$cluster_dir/run/slurmd-%n.pid
SlurmctldLogFile=$cluster_dir/log/slurmctld.log
SlurmdLogFile=$cluster_dir/log/slurmd-%n.log
AccountingStorageType=accounting_storage/none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=5,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
KillWait=5
SlurmdTimeout=10
MinJobAge=3600
ReturnToService=2
SlurmdParameters=config_overrides
CONF
    for n in 1 2; do
        echo "NodeName=n$n NodeHostname=$cluster_host NodeAddr=127.0.0.1 Port=$((port + n)) CPUs=$cluster_cpus" \
            "CoresPerSocket=$cluster_cpus RealMemory=$memory"
    done >>"$cluster_dir/slurm.conf"
    echo "PartitionName=test Nodes=ALL Default=YES DefaultTime=10 MaxTime=60" >>"$cluster_dir/slurm.conf"
    # Programs outside the namespace must not try to listen on the daemons' address.
    { cat "$cluster_dir/slurm.conf"; echo "$cluster_bind"; echo DebugFlags=NO_CONF_HASH; } >"$cluster_dir/daemons.conf"
}

is_running() { grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status" 2>/dev/null; }

# The number of a daemon of this cluster, if it runs.
daemon_pid() {
    local pid
    [ -s "$cluster_dir/run/$1.pid" ] || return 1
    pid=$(tr -dc 0-9 <"$cluster_dir/run/$1.pid")
    [ -n "$pid" ] && is_running "$pid" && tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF "$cluster_dir/" && echo "$pid"
}

# What runs in this cluster's jobs (on one node), and the slurmstepd that holds the node's log open.
job_pids() {
    local p files
    for p in $(grep -lsx slurmstepd /proc/[0-9]*/comm); do
        ! readlink "${p%comm}"fd/* 2>/dev/null | grep -q "^$cluster_dir/log/slurmd-${1:-n.}\.log" || tr -dc '0-9\n' <<<"$p"
    done
    files=$(grep -lszxF "SLURM_CLUSTER_NAME=$cluster_name" /proc/[0-9]*/environ)
    # shellcheck disable=SC2086
    [ -z "$files" ] || grep -lszx "SLURMD_NODENAME=${1:-n.}" $files | tr -dc '0-9\n'
}

# stop_pid PID: SIGTERM, and after 5 s SIGKILL.
stop_pid() {
    local i
    kill -TERM "$1" 2>/dev/null || return 0
    for ((i = 0; i < 50; i++)); do
        is_running "$1" || return 0
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null
}

start_munged() {
    (umask 077 && head -c 1024 /dev/urandom >"$cluster_dir/munge/key")
    munged --force --num-threads=2 --key-file="$cluster_dir/munge/key" --socket="$cluster_dir/munge/socket" \
        --pid-file="$cluster_dir/run/munged.pid" --log-file="$cluster_dir/log/munged.log" \
        --seed-file="$cluster_dir/munge/seed" >>"$cluster_dir/log/start.log" 2>&1
}

node_start() {
    mkdir -p "$cluster_dir/spool/$1"
    "${cluster_wrap[@]}" slurmd -f "$cluster_dir/daemons.conf" -N "$1" >>"$cluster_dir/log/start.log" 2>&1
}

# nodes_ready SECONDS: wait until both nodes answer and take jobs; one that was down is taken back.
nodes_ready() {
    local i bad
    for ((i = 0; i < $1 * 5; i++)); do
        if bad=$(timeout 5 sinfo -h -N -o '%N %T' 2>/dev/null) && [ -n "$bad" ]; then
            bad=$(grep -vE ' (idle|mixed|allocated|completing)$' <<<"$bad") || return 0
            awk '$2 ~ /^(down|drained)\*?$/ {print $1}' <<<"$bad" |
                while read -r n; do scontrol update NodeName="$n" State=RESUME 2>/dev/null; done
        fi
        sleep 0.2
    done
    return 1
}

cluster_fail() {
    cluster_why="$1: $(tail -qn 2 "$cluster_dir"/log/*.log 2>/dev/null | tail -n 2 | tr '\n' ' ')"
    cluster_down
    return 1
}

cluster_up() {
    local tool
    for tool in munged slurmctld slurmd sbatch scontrol; do
        command -v $tool >/dev/null || { cluster_why="$tool is not installed (slurm-wlm, munge)" && return 1; }
    done
    mkdir -p "$1"/{state,spool,log,run,munge}
    cluster_dir=$(cd "$1" && pwd -P)
    [ ${#cluster_dir} -le 64 ] || { cluster_why="$cluster_dir: longer than 64 characters" && return 1; }
    cluster_name=test$(cksum <<<"$cluster_dir" | cut -d' ' -f1)
    unset "${!SLURM_@}" "${!SBATCH_@}"
    export SLURM_CONF=$cluster_dir/slurm.conf
    choose_host
    write_conf || { cluster_fail "no free ports"; return 1; }
    start_munged || { cluster_fail "munged does not start"; return 1; }
    "${cluster_wrap[@]}" slurmctld -f "$cluster_dir/daemons.conf" >>"$cluster_dir/log/start.log" 2>&1 ||
        { cluster_fail "slurmctld does not start"; return 1; }
    if ! node_start n1 || ! node_start n2; then
        cluster_fail "slurmd does not start"
        return 1
    fi
    nodes_ready 30 || { cluster_fail "the nodes do not answer"; return 1; }
}

node_deaf() {
    kill -KILL "$(daemon_pid "slurmd-$1")"
    rm -f "$cluster_dir/run/slurmd-$1.pid"
}

node_crash() {
    # shellcheck disable=SC2046
    kill -KILL $(daemon_pid "slurmd-$1") $(job_pids "$1")
    rm -f "$cluster_dir/run/slurmd-$1.pid"
}

cluster_down() {
    local name pid left i
    [ -n "${cluster_dir:-}" ] || return 0
    for name in slurmctld slurmd-n1 slurmd-n2; do
        ! pid=$(daemon_pid $name) || stop_pid "$pid"
    done
    for ((i = 0; i < 30; i++)); do
        left=$(job_pids)
        [ -n "$left" ] || break
        # shellcheck disable=SC2086
        kill -KILL $left 2>/dev/null
        sleep 0.1
    done
    ! pid=$(daemon_pid munged) || stop_pid "$pid"
    [ -z "$left" ] || echo "FAULT: still running: $left"
}
