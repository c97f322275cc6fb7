"""The field: every program that is measured, ours and the peers'."""

from bench.programs import Program

APPS = "bench/apps"
ONLY_TURNS = ("--functions", "answer_turn")
DEVHOST = ("-m", "devhost", "start", "--port", "{port}", "--script-root", ".", "--data-dir", "{data}")
# devhost imports the app by the name of this file, without its ending.
OUR_APP = {"PYTHON_SCRIPT_FILE_NAME": "bench.apps.afterword_app.py"}
OUR_JOBS = {"PYTHON_SCRIPT_FILE_NAME": "bench.apps.afterword_jobs.py"}
IN_MEMORY = {"BENCH_STORES": "memory"}
ON_AZURITE = {"BENCH_STORES": "azurite"}

BOTBUILDER = Program("botbuilder", (f"{APPS}/peer_botbuilder.py",), is_peer=True)
AGENTS = Program("Agents SDK", (f"{APPS}/peer_agents.py",), is_peer=True)
TEAMS = Program("Teams SDK", (f"{APPS}/peer_teams.py",), is_peer=True)
BARE = Program("bare aiohttp", (f"{APPS}/bare.py",), is_peer=True)
TURN_ALONE = Program("Afterword, turn alone", (f"{APPS}/afterword_turn.py",), environment=IN_MEMORY)
ON_DEVHOST = Program("Afterword, devhost", (*DEVHOST, *ONLY_TURNS), environment={**OUR_APP, **IN_MEMORY})
ON_DEVHOST_AZURITE = Program("Afterword, devhost, Azurite", DEVHOST, environment={**OUR_APP, **ON_AZURITE})
CONNECTOR_ALONE = Program("Afterword, connector alone", TURN_ALONE.command, environment=IN_MEMORY)
DELIVER = Program("Afterword, deliver", (f"{APPS}/afterword_deliver.py",), environment=IN_MEMORY)
DELIVER_AZURITE = Program("Afterword, deliver, Azurite", DELIVER.command, environment=ON_AZURITE)
# Those that take jobs on. The SDKs have none; with them alone, one leaves the work to an asyncio task.
BOTBUILDER_JOBS = Program(BOTBUILDER.name, (f"{APPS}/peer_botbuilder_jobs.py",), is_peer=True)
AGENTS_JOBS = Program(AGENTS.name, (f"{APPS}/peer_agents_jobs.py",), is_peer=True)
JOBS_ON_DEVHOST = Program(ON_DEVHOST.name, DEVHOST, environment={**OUR_JOBS, **IN_MEMORY})
JOBS_ON_AZURITE = Program(ON_DEVHOST_AZURITE.name, DEVHOST, environment={**OUR_JOBS, **ON_AZURITE})

PEERS = (BOTBUILDER, AGENTS, TEAMS)
INBOUND = (*PEERS, BARE, TURN_ALONE, ON_DEVHOST, ON_DEVHOST_AZURITE)
OUTBOUND = (*PEERS, BARE, CONNECTOR_ALONE, DELIVER, DELIVER_AZURITE)
JOBS = (BOTBUILDER_JOBS, AGENTS_JOBS, JOBS_ON_DEVHOST, JOBS_ON_AZURITE)
