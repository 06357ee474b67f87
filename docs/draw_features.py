"""Draws docs/features.md: every feature of AMT, what shows it, and the test that holds it.

A row is held by the tests that bear its number (`test_row_42_target_ends_the_job`).
Run `python docs/draw_features.py` after adding one; tests/features/test_page.py keeps the page true.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "features.md"

NOT_YET = {
}

ROWS = (
    (1, 'JSON 1.1 wire, any boto3/CLI client', 'boto3 `create/describe/list/stop` round-trips with only `endpoint_url` changed; AWS CLI v2 (`--cli-input-json`) likewise'),
    (2, 'Error envelope', '`client.exceptions.ResourceNotFound` is raised by Describe of an unknown name; code comes from body `__type`'),
    (3, 'Timestamps and float32 values', 'CreationTime parses to a tz-aware datetime with millisecond fraction; a job printing 2.91488 returns Value == float(numpy.float32(2.91488))'),
    (4, 'ARN format, lower-cased name', 'job `MyJob` gives ARN ending `hyper-parameter-tuning-job/myjob`, name field stays `MyJob`'),
    (5, 'Case-insensitive unique names', 'second Create with other case fails with ResourceInUse and the "already exists" text'),
    (6, 'Create, single definition', 'returns HyperParameterTuningJobArn; Describe has TrainingJobDefinition, no TrainingJobDefinitions'),
    (7, 'Create, list of definitions (1-10)', 'two definitions accepted, eleven refused; Describe returns the list form'),
    (8, 'Exactly one definition form', 'both or neither gives ValidationException'),
    (9, 'Full shape validation on the server', 'table test over all patterns, max lengths, enums, ranges of AMT.md 3; every violation is a ValidationException naming the path'),
    (10, 'Name limit 32', '33-character name: message "Member must have length less than or equal to 32"'),
    (11, 'Ranges: integer, continuous, categorical', '500 random draws stay inside bounds/values; integers print without decimals'),
    (12, 'Up to 30 tuned, 100 total hyperparameters, 30 category values', '31 ranges, 101 total, 31 values each refused'),
    (13, 'Scaling Linear', 'KS test of 500 draws against uniform passes'),
    (14, 'Scaling Logarithmic (values > 0)', 'KS on log values passes; MinValue "0" refused'),
    (15, 'Scaling ReverseLogarithmic (continuous, 0<=x<1)', 'KS on -log(1-x) passes; integer range or Max "1" refused'),
    (16, 'Scaling Auto, default', 'omitted ScalingType is described as `Auto`; range 1e-5..1 samples on log scale'),
    (17, 'Strings everywhere', 'TunedHyperParameters and hyperparameters.json hold only strings; JSON-quoted categories pass untouched'),
    (18, '`_tuning_objective_metric` injected', "present in child's hyperparameters.json, DescribeTrainingJob and StaticHyperParameters of Describe"),
    (19, 'Strategy Random', 'MaxNumber children with independent draws; parallel = MaxParallel'),
    (20, 'Strategy Bayesian', 'on Branin (60 jobs, 10 seeds) median best is better than Random with p<0.05'),
    (21, 'Strategy Grid', '3x2 categories run 6 distinct children with MaxNumber omitted; with 5 or a continuous range refused'),
    (22, 'Strategy Hyperband', 'weak configurations end Stopped before MaxResource, best reaches MaxResource; compute < 60 % of full'),
    (23, 'Hyperband MaxResource inference', 'static `epochs`=9 works without StrategyConfig; without any key the quoted error text appears'),
    (24, 'Hyperband needs early stopping Off', 'Auto + Hyperband refused'),
    (25, 'Hyperband MinResource and MaxResource', 'no child stopped with fewer than MinResource objective emissions; one that emits more epochs than MaxResource is stopped at it'),
    (26, 'RandomSeed', 'two jobs with one seed give identical configuration sequences for Random, Grid, Hyperband'),
    (27, 'Asynchronous parallelism', 'never more than MaxParallel running; a freed slot refills although others still run'),
    (28, 'No duplicate suggestions in finite spaces', '12-point space, 12 jobs: 12 distinct configurations'),
    (29, 'Combination-count check', '3-point space with MaxNumber 10 refused with the quoted text'),
    (30, 'Metric definitions by regex (1-40)', 'group 1 of each regex is captured from stdout and stderr; 41 refused'),
    (31, 'Objective must be defined for custom images', 'missing definition gives the quoted "A metric is required" text'),
    (32, 'Objective = last emitted value', 'script prints 0.9 then 0.5: final metric 0.5 also when maximising'),
    (33, 'FinalMetricDataList', 'DescribeTrainingJob lists last value and timestamp for each defined metric'),
    (34, '`ObjectiveMetric` definition added', "Describe's MetricDefinitions end with Name ObjectiveMetric and the objective's regex"),
    (35, 'Built-in algorithm metrics', 'for images registered as built-in, MetricDefinitions are filled in without being sent'),
    (36, 'Multi-node metric rule', 'two-host job: value of the host that ends last is used'),
    (37, 'Completed child without objective', 'TrainingJobStatus Completed, ObjectiveStatus Failed, not listed under SortBy=FinalObjectiveMetricValue'),
    (38, 'Early stopping median rule', 'scripted curves: a job under the median of running averages is Stopped, one above is not; with Off nothing is stopped, and with a single emission per job nothing is stopped'),
    (39, 'Early-stopped job keeps budget semantics', 'stopped child counts to MaxNumber and a new one starts in its place'),
    (40, 'MaxNumberOfTrainingJobs', 'exactly that many children are launched'),
    (41, 'MaxRuntimeInSeconds (>=120)', 'job ends within tolerance after the limit; 119 refused; ConsumedResources close to limit'),
    (42, 'TargetObjectiveMetricValue', 'ends after the first child reaches it, both directions; combined with other criteria whichever comes first ends the job'),
    (43, 'BestObjectiveNotImproving (>=3)', 'constant objective with value 3 ends after best + 3; 2 refused'),
    (44, 'ConvergenceDetected', 'flat objective: ConvergenceDetectedTime appears; Enabled ends the job, Disabled does not'),
    (45, 'TuningJobCompletionDetails and ConsumedResources without criteria', 'NumberOfTrainingJobsObjectiveNotImproving present on a plain job; RuntimeInSeconds grows while InProgress, then frozen'),
    (46, 'Warm start IdenticalDataAndAlgorithm', "needs fewer jobs than cold start to reach the parent's best on Branin; OverallBestTrainingJob may be a parent's child"),
    (47, 'Warm start TransferLearning', 'accepted with other data/ranges; no OverallBestTrainingJob'),
    (48, 'Warm start: 1-5 terminal parents', 'six parents, running parent, unknown parent refused'),
    (49, 'Warm start: same names, types, objective, <=10 changes', 'each violation refused; name-set violation with the quoted text'),
    (50, 'Warm start not recursive', 'grandparent data do not enter unless listed'),
    (51, 'Warm start: other definition fields fixed', 'changed Environment refused with the quoted "Only the following fields" text'),
    (52, 'Parents count against the job limit', 'parent jobs + MaxNumber > 750 refused'),
    (53, 'Multi-algorithm tuning', 'children of both definitions run; summaries carry TrainingJobDefinitionName; best over both'),
    (54, 'No early stopping/warm start with several definitions', 'refused'),
    (55, 'Autotune', 'AutoParameters max_depth hint 4 is described as IntegerParameterRange 2..8; unset settings are filled'),
    (56, 'Child naming', 'names match `^<job>-\\d{3,}-[0-9a-f]{8}$`, counter in launch order'),
    (57, 'Children are training jobs', 'DescribeTrainingJob works for each child and has TuningJobArn'),
    (58, 'Child settings inherited', 'role, channels, resources, stopping condition, environment, VPC, spot, checkpoint equal the definition'),
    (59, 'Environment variables (<=48)', 'visible in the process; 49 refused; sum over definitions checked'),
    (60, 'Five-attempts rule', 'all children exit 1: tuning job Failed with the quoted FailureReason after 5 failed attempts'),
    (61, 'Partial failures tolerated', 'one success among failures: job continues to MaxNumber and Completes'),
    (62, 'Status and objective counters', 'sums equal launched jobs; client errors under NonRetryableError; objective Pending while running, then Succeeded/Failed'),
    (63, 'BestTrainingJob live', 'absent before the first value, then best so far, summary fields of 2.2 present'),
    (64, 'Stop', 'Stopping then Stopped; children get SIGTERM; no new ones; second Stop gives ValidationException'),
    (65, 'Delete', 'running: "not in a terminal state"; terminal: entry vanishes, children remain'),
    (66, 'List tuning jobs', 'filters, sorting, paging with MaxResults/NextToken through the boto3 paginator'),
    (67, 'List training jobs of a tuning job', 'sort by objective both ways, status filter, paging, default page 10'),
    (68, 'ListTrainingJobs filter-after-page quirk', 'MaxResults=5 + StatusEquals can return fewer than 5 with NextToken'),
    (69, 'Plain CreateTrainingJob', 'runs without tuning job; ContainerEntrypoint/Arguments honoured; stock waiter TrainingJobCompletedOrStopped returns on Completed and Stopped, raises on Failed'),
    (70, 'Secondary statuses and transitions', 'Starting, Downloading, Training, Uploading, Completed with contiguous times'),
    (71, 'MaxRuntimeInSeconds of a child', 'ends Stopped with secondary MaxRuntimeExceeded, model uploaded'),
    (72, 'SIGTERM, 120 s, SIGKILL', 'handler that writes a file to the model dir has it in model.tar.gz; a deaf process is killed at 120 s'),
    (73, '/opt/ml layout and config files', 'probe script finds the three JSON files and channel directories with documented content'),
    (74, 'SM_* variables via toolkit', 'script-mode image reports SM_HPS, SM_HP_*, SM_CHANNEL_*, SM_MODEL_DIR as specified'),
    (75, 'Exit code and failure file', 'exit 3 + failure text: Failed, FailureReason starts `AlgorithmError:` and holds the first 1,024 chars'),
    (76, 'model.tar.gz and output.tar.gz locations, log streams', 'objects under `<S3OutputPath>/<child>/output/`; ModelArtifacts points to model.tar.gz; log stream `<job>/algo-1-<ts>` retrievable'),
    (77, 'Input modes File, FastFile, Pipe', 'each mode serves the channel as described (FastFile read-only, Pipe FIFOs per epoch)'),
    (78, 'Checkpoints', 'files restored at start, uploaded while running, deletions mirrored'),
    (79, 'Spot emulation', 'forced interruption shows Interrupted, Starting, Training and resumes from checkpoint; MaxWaitTime enforced; MaxWait without spot refused'),
    (80, 'RetryStrategy', 'injected internal error is retried up to the number, secondary returns to Starting'),
    (81, 'HyperParameterTuningResourceConfig', 'InstanceConfigs tried in order; flat form described as ResourceConfig; both forms together refused'),
    (82, 'Warm pools between children', 'second child of a slot starts without new provisioning (start latency drops)'),
    (83, 'Quotas', 'configurable; 11 parallel with default limits gives ResourceLimitExceeded'),
    (84, 'Tags inherit and evolve', 'children carry creation tags; AddTags affects later children only; ListTags/DeleteTags work on both ARNs'),
    (85, 'Describe normalisation', 'golden test: request of the observed 2020 example returns its recorded response shape'),
    (86, 'Events', 'hook/webhook receives the two EventBridge-shaped state changes'),
    (87, 'SDK v2 unmodified', 'HyperparameterTuner fit, wait, describe, analytics, best_training_job, attach, best_estimator, stop pass against the server'),
    (88, 'SDK v2 warm-start helpers and create()', 'transfer_learning_tuner, identical_dataset_and_algorithm_tuner, create() with two estimators pass'),
    (89, 'SDK v3 unmodified', 'sagemaker.train.tuner tune, wait, describe, best_training_job, analytics, stop pass'),
    (90, 'Restart safety of the controller', 'killing and restarting the server mid-job neither loses nor doubles children'),
)


def held() -> dict[int, list[tuple[str, str]]]:
    """The tests that bear a row's number: their file below the project, and their name."""
    found: dict[int, list[tuple[str, str]]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, number in re.findall(r"^ *def (test_row_(\d+)_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            found.setdefault(int(number), []).append((str(path.relative_to(ROOT)), name))
    return found


def state(number: int, tests: list[tuple[str, str]]) -> str:
    if tests:
        return "held by " + ", ".join(f"[`{name}`](../{path})" for path, name in tests)
    if number in NOT_YET:
        return f"not yet: {NOT_YET[number]}"
    return "not yet"


def draw() -> str:
    tests = held()
    count = sum(number in tests for number, _, _ in ROWS)
    lines = [
        "# Features",
        "",
        f"Every feature of AMT, and the test that shows it: {count} of {len(ROWS)} are held by a test that bears the row's",
        "number. A test asserts what its row says, in strict mode. `python docs/draw_features.py` draws this page.",
        "",
        "| row | feature | what shows it | state |",
        "|---:|---|---|---|",
    ]
    for number, feature, check in ROWS:
        cells = (str(number), feature, check, state(number, tests.get(number, [])))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(draw(), encoding="utf-8")
