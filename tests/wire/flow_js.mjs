// A day with the AWS SDK for JavaScript: the request comes on standard input; run where its node_modules are.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const sdk = createRequire(`${process.cwd()}/`)("@aws-sdk/client-sagemaker");
const client = new sdk.SageMakerClient({ maxAttempts: 1 });
const request = JSON.parse(readFileSync(0, "utf8"));
const named = { HyperParameterTuningJobName: request.HyperParameterTuningJobName };
const describe = () => client.send(new sdk.DescribeHyperParameterTuningJobCommand(named));

const created = await client.send(new sdk.CreateHyperParameterTuningJobCommand(request));
assert.match(created.HyperParameterTuningJobArn, /:hyper-parameter-tuning-job\/from-js$/);
await assert.rejects(client.send(new sdk.CreateHyperParameterTuningJobCommand(request)), { name: "ResourceInUse" });

let told = await describe();
assert.ok(told.CreationTime instanceof Date);
const deadline = Date.now() + 300_000;
while (["InProgress", "Stopping"].includes(told.HyperParameterTuningJobStatus) && Date.now() < deadline) {
  told = await describe();
}
assert.equal(told.HyperParameterTuningJobStatus, "Completed");
assert.equal(told.TrainingJobStatusCounters.Completed, 4);
assert.equal(typeof told.BestTrainingJob.FinalHyperParameterTuningJobObjectiveMetric.Value, "number");

const names = [];
for await (const page of sdk.paginateListTrainingJobsForHyperParameterTuningJob({ client, pageSize: 3 }, named)) {
  names.push(...page.TrainingJobSummaries.map((job) => job.TrainingJobName));
}
assert.equal(new Set(names).size, 4);
const found = await client.send(new sdk.ListHyperParameterTuningJobsCommand({ NameContains: "from-js" }));
assert.equal(found.HyperParameterTuningJobSummaries.length, 1);
await assert.rejects(
  client.send(new sdk.DescribeHyperParameterTuningJobCommand({ HyperParameterTuningJobName: "nobody" })),
  { name: "ResourceNotFound" },
);
console.log("the whole day went well");
