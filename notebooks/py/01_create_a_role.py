# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 Create a role
#
# A program that calls Alibaba Cloud must say who it is. With an **AccessKey** (a name and a secret) in its code, whoever
# reads the code has the key, for as long as nobody notices. A **RAM role** is an identity without a lasting secret: it is
# taken on for some hours at a time. RAM (Resource Access Management) is the service that keeps users, roles and policies.
#
# **The one idea here:** a role has two sides. Its *trust policy* says **who may take it on**; its *permission policies*
# say **what it may do**. It needs both.
#
# Each step comes twice: a panel to click, and below it the one line that does the same. Use one of them, or both: doing a
# step again changes nothing. Everything here happens in the **sandbox**, a local cloud on this machine. With
# `rr.connect("live")` the same cells work on a real account, and each change is shown to you before it is made.
# After a restart of the kernel, run the cells from the top.

# %% tags=["setup"]
import ramrole_nb as rr

cloud = rr.connect()
lesson = rr.lesson(cloud, "01", made_for="0.1.0")
lesson.prepare()

# %% [markdown]
# Where this plays (*SANDBOX* or *LIVE*), and how far you are. If this notebook is older than the package,
# a note appears here.

# %% tags=["setup"]
lesson

# %% [markdown]
# ## First a role that works
#
# In the panel: the name is filled in, so press **Create role**. Then choose `AliyunOSSReadOnlyAccess` as *Policy* and press
# **Grant policy**.

# %% tags=["panel"]
rr.widgets.RolePanel(cloud, name="EcsRamRole", bucket="sandbox-photos")

# %% [markdown]
# The same, typed. Look at *trusts*: ECS (Elastic Compute Service, which runs virtual machines, called *instances*)
# may take this role on. The *ARN* is the full name of anything in the cloud: service, account, kind and name.

# %% tags=["typed"]
cloud.roles.create("EcsRamRole")

# %% [markdown]
# `AliyunOSSReadOnlyAccess` is a **system policy**: Alibaba Cloud wrote it and keeps it up to date. It lets its holder
# list and read everything in OSS (Object Storage Service), and change nothing.

# %% tags=["typed"]
cloud.roles["EcsRamRole"].grant("AliyunOSSReadOnlyAccess")

# %% [markdown]
# That is all a program on an instance needs to read a bucket (OSS keeps files in *buckets*). Now the two parts, one after
# the other.
#
# ## Part 1: the trust policy
#
# A policy is a JSON document. In this one, `Principal` names who may take the role on: the service `ecs.aliyuncs.com`.
# The action is always `sts:AssumeRole`; STS (Security Token Service) is what hands out temporary credentials.

# %%
import json

json.loads(rr.policy.trust_for_service("ecs.aliyuncs.com"))

# %% [markdown]
# ### What goes wrong: the wrong service
#
# Function Compute is another service, `fc.aliyuncs.com`. Here is a role that trusts it, and not ECS.

# %% tags=["setup"]
cloud.roles.create("ForFunctions", trust=rr.policy.trust_for_service("fc.aliyuncs.com"))

# %% [markdown]
# It is a good role, but no instance can have it. (Giving roles to instances is the next notebook; this attempt is meant
# to fail.) `rr.show_error()` shows the error as a card and lets the notebook go on. Read it from top to bottom: *what*
# happened, *why*, and the *next step*. Every error here has these three.

# %% tags=["typed"]
with rr.show_error():
    cloud.instances["web-2"].attach("ForFunctions")

# %% [markdown]
# The panel for roles says so before you try: it shows that ECS may not assume this role.

# %% tags=["panel"]
rr.widgets.RolePanel(cloud, name="ForFunctions")

# %% [markdown]
# ### What goes wrong: a name that is not allowed
#
# An underscore is not allowed. Nothing was sent: what is wrong by itself is refused on this side, with a name that would
# do.

# %% tags=["typed"]
with rr.show_error():
    cloud.roles.create("Ecs_Ram_Role")

# %% [markdown]
# ## Part 2: the permission policies
#
# What does the role hold? In a document, `Action` is what may be done and `Resource` on what; `*` stands for any text.

# %%
role = cloud.roles["EcsRamRole"]
role.policies()

# %%
json.loads(rr.policy.SYSTEM_POLICIES["AliyunOSSReadOnlyAccess"].document)

# %% [markdown]
# Everything that no policy allows is refused: **deny by default**. A statement with `"Effect": "Deny"` wins over any
# number of others. You can ask the same piece of software that decides in the sandbox. May this role read a picture? May
# it write one?

# %%
document = rr.policy.SYSTEM_POLICIES["AliyunOSSReadOnlyAccess"].document
held = rr.policy.NamedDocument("AliyunOSSReadOnlyAccess", "System", rr.policy.parse_policy(document))
picture = "acs:oss:oss-cn-beijing:123456:sandbox-photos/testfolder/example.png"

# %%
rr.policy.evaluate(rr.policy.Request("oss:GetObject", picture), [held]).because

# %%
rr.policy.evaluate(rr.policy.Request("oss:PutObject", picture), [held]).because

# %% [markdown]
# Reading *everything* is more than one program needs. A small policy of your own says one bucket and one folder (**least
# privilege**). The first panel writes it for you: **Show a policy of your own, for one bucket**, then **Write the
# document**.

# %%
json.loads(rr.policy.read_objects("sandbox-photos", prefix="testfolder/"))

# %% [markdown]
# ## On the wire
#
# What you clicked or typed became these calls. Look at `CreateRole` and `AttachPolicyToRole`: each is one HTTPS request
# to RAM, signed by you. *Attach policy to role* is what RAM calls granting.

# %% tags=["panel"]
rr.widgets.WirePanel(cloud)

# %% tags=["typed"]
cloud.wire

# %% [markdown]
# ## Exercises
#
# A check looks at the cloud, not at your code: any way that leads there counts. **Hint** (typed: `lesson.q1.hint()`) helps
# step by step, **Show solution** (`lesson.q1.solution()`) shows the way. An untouched exercise says *not attempted*.
#
# ### Exercise 1
#
# Make a role **photo-reader** that instances can have. (By clicks: in the first panel, change the name.)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q1)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q1.check()

# %% [markdown]
# ### Exercise 2
#
# Let **photo-reader** list and read the folder `testfolder/` of the bucket `sandbox-photos`, and nothing else at all.

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q2)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q2.check()

# %% [markdown]
# ### Exercise 3
#
# The role **broken-trust** trusts the wrong service. Mend it, so that instances can have it, and nobody else. (By clicks: in
# the first panel, choose the role, then **Save trust policy**.)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q3)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q3.check()

# %% [markdown]
# ## What you learned
#
# 1. A trust policy says who may take a role on; for instances that is `ecs.aliyuncs.com`.
# 2. Permission policies say what the role may do; what none of them allows is refused.
# 3. A role alone does nothing: it has no key, and nobody has it yet.
#
# Ask yourself:
#
# <details><summary>A role trusts ECS and holds no permission policy. What may a program with it do?</summary>
# Nothing, except to ask who it is. It can be attached to an instance all the same.</details>
#
# <details><summary>Two policies: one allows oss:GetObject on everything, one denies it on private/*. What holds for
# private/salaries.csv?</summary>It is refused: an explicit Deny wins, in whatever order the policies were
# granted.</details>
#
# <details><summary>Why is a role safer in a program than an AccessKey?</summary>There is no lasting secret in code or
# files: what the program gets is temporary, and renewed by itself.</details>
#
# What you made stays, for the next notebook. `cloud.clean_up()` takes all of it away at any time.
#
# Next: [02 Attach it to an instance](02_attach.ipynb)
