"""How many pods there are, where they run, and who may reach them: every object names others that exist."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from clv.settings import Settings
from clv.topics import ORDERS
from streams.topics import orders_group
from tests.deployment import manifests
from tests.docs import pages

if TYPE_CHECKING:
    from pathlib import Path

SPREAD = ("worker", "sink", "api")


def _labels(workload: str) -> dict[str, str]:
    return dict(manifests.pod_of(workload)["metadata"]["labels"])


def _selected(selector: dict[str, str]) -> set[str]:
    """Return the workloads whose pods a selector's labels choose."""
    return {name for name in manifests.WORKLOADS if selector.items() <= _labels(name).items()}


def _config() -> dict[str, str]:
    return dict(manifests.read("config.yaml")["data"])


@pytest.mark.parametrize("workload", manifests.WORKLOADS)
def test_a_workload_owns_its_pods_alone(workload: str) -> None:
    """A selector chooses the template's pods, and no other workload's."""
    spec = manifests.read(f"{workload}.yaml")["spec"]

    assert _selected(_labels(workload)) == {workload}
    assert spec.get("selector", {"matchLabels": _labels(workload)})["matchLabels"] == _labels(workload)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("worker-service.yaml", "worker"),
        ("api-service.yaml", "api"),
        *((f"{workload}-disruption.yaml", workload) for workload in SPREAD),
    ],
)
def test_an_object_chooses_the_pods_that_it_is_for(name: str, chosen: str) -> None:
    """Services and disruption budgets choose one workload's pods."""
    selector = manifests.read(name)["spec"]["selector"]

    assert _selected(selector.get("matchLabels", selector)) == {chosen}


@pytest.mark.parametrize("workload", SPREAD)
def test_pods_of_several_are_spread_and_drained_one_by_one(workload: str) -> None:
    """Over zones and nodes, by their own labels; a node's drain takes one, and is not stopped by a broken one."""
    constraints = manifests.pod_of(workload)["spec"]["topologySpreadConstraints"]
    budget = manifests.read(f"{workload}-disruption.yaml")["spec"]

    assert [found["topologyKey"] for found in constraints] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert [_selected(found["labelSelector"]["matchLabels"]) for found in constraints] == [{workload}] * 2
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


@pytest.mark.parametrize("workload", ["trainer", "ads"])
def test_there_is_one_of_what_must_not_be_two(workload: str) -> None:
    """The old pod ends before the new one starts."""
    spec = manifests.read(f"{workload}.yaml")["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_autoscaler_stays_within_the_partitions() -> None:
    """It scales the StatefulSet, whose own count is left to it, to no more workers than can share the work."""
    spec = manifests.read("worker-autoscaler.yaml")["spec"]
    worker = manifests.read("worker.yaml")

    target = {"apiVersion": worker["apiVersion"], "kind": worker["kind"], "name": worker["metadata"]["name"]}
    assert spec["scaleTargetRef"] == target
    assert "replicas" not in worker["spec"]
    assert 2 <= spec["minReplicas"] <= spec["maxReplicas"] <= int(_config()["CLV_PARTITIONS"])


def test_the_page_has_the_rule_of_the_autoscalers_metric() -> None:
    """The adapter's rule in the page gives the metric its name, from the lag of the workers' group on orders."""
    (wanted,) = manifests.read("worker-autoscaler.yaml")["spec"]["metrics"]
    (block,) = [text for text in pages.blocks("docs/deployment.md", "yaml") if "externalRules" in text]
    (rule,) = YAML(typ="safe").load(block)["externalRules"]
    labels = dict(re.findall(r'(\w+)=~?"([^"]+)"', rule["metricsQuery"]))

    assert rule["name"]["as"] == wanted["external"]["metric"]["name"]
    assert labels["topic"] == ORDERS
    assert re.fullmatch(labels["consumergroup"], orders_group(Settings(), "a topic's id"))
    assert not re.fullmatch(labels["consumergroup"], f"{Settings().group}-sink")


def test_only_the_api_and_the_metrics_can_be_called() -> None:
    """One policy closes every pod; two open the API's port and that of the metrics to the namespaces that they name."""
    closed, opened = manifests.read("network-policy.yaml")["spec"], manifests.read("api-network-policy.yaml")["spec"]
    incoming = [found for found in manifests.of_kind("NetworkPolicy") if found["spec"].get("ingress")]
    (rule,) = opened["ingress"]

    assert _selected(closed["podSelector"]["matchLabels"]) == set(manifests.WORKLOADS)
    assert (closed["policyTypes"], closed["ingress"]) == (["Ingress", "Egress"], [])
    assert [found["metadata"]["name"] for found in incoming] == ["clv-api", "clv-metrics"]
    assert _selected(opened["podSelector"]["matchLabels"]) == {"api"}
    assert [port["port"] for port in rule["ports"]] == [manifests.container_of("api")["ports"][0]["name"]]
    assert rule["from"]


@pytest.mark.parametrize("workload", ["worker", "trainer", "sink", "ads"])
def test_prometheus_finds_and_reaches_a_roles_metrics(workload: str) -> None:
    """The settings, the container's port, the pod's annotations and the policy agree about where they are served."""
    config, pod = _config(), manifests.pod_of(workload)
    (port,) = manifests.container_of(workload)["ports"]
    (rule,) = manifests.read("metrics-network-policy.yaml")["spec"]["ingress"]

    assert (port["name"], str(port["containerPort"])) == ("metrics", config["CLV_METRICS_PORT"])
    assert config["CLV_METRICS_HOST"] == "0.0.0.0"
    assert pod["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": config["CLV_METRICS_PORT"],
    }
    assert [open_port["port"] for open_port in rule["ports"]] == [port["name"]]
    assert rule["from"]


def test_a_pod_can_reach_what_its_settings_name(tmp_path: Path) -> None:
    """Names, Kafka's port and PostgreSQL's are open; the ads role alone may go out by HTTPS, to no private network."""
    url = manifests.write_secrets("sink", tmp_path)[_config()["CLV_DATABASE_URL_FILE"]].read_text()
    needed = {
        ("UDP", 53),
        ("TCP", 53),
        *(("TCP", int(re.findall(r":(\d+)", text)[-1])) for text in (url, _config()["CLV_BROKER"])),
    }
    outgoing = manifests.read("ads-network-policy.yaml")["spec"]

    assert _open_ports(manifests.read("network-policy.yaml")["spec"]) == needed
    assert _open_ports(outgoing) == {("TCP", 443)}
    assert _selected(outgoing["podSelector"]["matchLabels"]) == {"ads"}
    assert "10.0.0.0/8" in outgoing["egress"][0]["to"][0]["ipBlock"]["except"]


def _open_ports(spec: dict[str, Any]) -> set[tuple[str, int]]:
    return {(port["protocol"], port["port"]) for rule in spec["egress"] for port in rule["ports"]}


def test_the_service_leads_to_the_apis_port() -> None:
    """The Service's target is a port that the container names."""
    (port,) = manifests.read("api-service.yaml")["spec"]["ports"]

    assert port["targetPort"] in {found["name"] for found in manifests.container_of("api")["ports"]}
    assert (
        manifests.read("worker.yaml")["spec"]["serviceName"]
        == manifests.read("worker-service.yaml")["metadata"]["name"]
    )


def test_the_migration_ends_by_itself() -> None:
    """A Job that does not restart for ever, and is tidied away."""
    spec = manifests.read("migrate.yaml")["spec"]

    assert (spec["template"]["spec"]["restartPolicy"], spec["backoffLimit"]) == ("Never", 6)
    assert spec["activeDeadlineSeconds"] < spec["ttlSecondsAfterFinished"]
