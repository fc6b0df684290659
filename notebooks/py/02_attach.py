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
# # 02 Attach it to an instance
#
# An **ECS instance** is a virtual machine (ECS: Elastic Compute Service). *Attaching* a role to it lets every program on
# it act as that role.
#
# **The one idea here:** an instance has at most **one** role, and one role can be on many instances. Attaching is a call
# to ECS, and it needs two permissions: one to change the instance (`ecs:AttachInstanceRamRole`), and one to hand the role
# on (`ram:PassRole`). Without the second, whoever may change instances could give themselves any role.
#
# Everything here happens in the **sandbox** on this machine; with `rr.connect("live")` the same cells work on a real
# account, where you put your own instances in the place of `web-1` and the others. `lesson.prepare()` makes what an
# earlier notebook would have made, and says so. After a restart of the kernel, run the cells from the top.

# %% tags=["setup"]
import ramrole_nb as rr

cloud = rr.connect()
lesson = rr.lesson(cloud, "02", made_for="0.1.0")
lesson.prepare()

# %% [markdown]
# Where this plays (*SANDBOX* or *LIVE*), and how far you are. If this notebook is older than the package,
# a note appears here.

# %% tags=["setup"]
lesson

# %% [markdown]
# ## Attach the role
#
# In the panel: `web-1` and the role `EcsRamRole` are chosen, so press **Attach role**. Above the buttons you see whether
# your own permissions suffice.

# %% tags=["panel"]
rr.widgets.InstancesPanel(cloud, role="EcsRamRole", instances=["web-1"])

# %% [markdown]
# The same, typed. The last row of the card names the role.

# %% tags=["typed"]
cloud.instances["web-1"].attach("EcsRamRole")

# %% [markdown]
# Did it work? Ask STS who a program on `web-1` is, with the credential that it gets there. The answer is an
# **assumed role**: `assumed-role/<role>/<session>`, and the session is named after the instance.

# %%
cloud.instances["web-1"].identity()

# %% [markdown]
# ## The same as code
#
# Whatever you do here can be done elsewhere: with the official SDKs, the command line, Terraform, or in the console. In
# the panel, choose *attach role* among what was done. Each panel has this behind **Show code**, too.

# %% tags=["panel"]
rr.widgets.CodePanel(cloud)

# %% [markdown]
# Typed, the action is named. The code is complete: copy it into a file, and it runs.

# %% tags=["typed"]
vm = cloud.instances["web-1"]
rr.snippets.show(rr.snippets.AttachRole("EcsRamRole", vm.region_id, (vm.instance_id,)))

# %% [markdown]
# ## The parts
#
# All your instances, in all regions. Look at the last two columns: *metadata* says how strict an instance is when a
# program asks for credentials (the next notebook), *role* which role it has.

# %%
cloud.instances

# %% [markdown]
# Attaching the same role again changes nothing, and is no error: a program or a notebook may simply run again.

# %% tags=["typed"]
cloud.instances["web-1"].attach("EcsRamRole").attachment

# %% [markdown]
# ## What goes wrong: there is a role already
#
# A second role, to try it with:

# %% tags=["setup"]
cloud.roles.create("SecondRole")

# %% [markdown]
# In the console of Alibaba Cloud you change a role by choosing *Attach* and another role. The API refuses that: first the
# old one has to be detached. The card says how. (Notebook 05 replaces a role.)

# %% tags=["typed"]
with rr.show_error():
    cloud.instances["web-1"].attach("SecondRole")

# %% [markdown]
# In the panel, press **Attach role**. It can attach to many instances at once, so the refusal stands in the row of
# `web-1`.

# %% tags=["panel"]
rr.widgets.InstancesPanel(cloud, role="SecondRole", instances=["web-1"])

# %% [markdown]
# ## What goes wrong: you may not
#
# The sandbox has a user `viewer`, who may look at ECS and RAM, and change nothing. Before the call is made, your own
# policies are read and the missing permissions are named: `ram:PassRole` among them.

# %% tags=["typed"]
with rr.show_error():
    rr.connect(user="viewer").instances["web-2"].attach("EcsRamRole")

# %% [markdown]
# ## What goes wrong: the wrong network
#
# Only instances in a VPC (a private network of yours) can have a role. `classic-1` is in an older kind of network. Here
# the service itself refuses: *answer* and *message* are its own words, and with the *request id* its support finds the
# call.

# %% tags=["typed"]
with rr.show_error():
    cloud.instances["classic-1"].attach("EcsRamRole")

# %% [markdown]
# ## On the wire
#
# What `lesson.prepare()` did is folded away. Look for an `AttachInstanceRamRole` with the status 200: two decisions
# were made for it, and the last one, which you see, is about `ram:PassRole`. One with 403 was allowed by your policies,
# and then refused by the service: the line says what refused it.

# %% tags=["panel"]
rr.widgets.WirePanel(cloud)

# %% tags=["typed"]
cloud.wire

# %% [markdown]
# ## Exercises
#
# ### Exercise 1
#
# Give the instance **web-2** the role **photo-reader**. (By clicks: in the panel above, choose both.)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q1)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q1.check()

# %% [markdown]
# ### Exercise 2
#
# Give both **batch-1** and **batch-2** the role **batch-worker**. One call can do it.

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q2)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q2.check()

# %% [markdown]
# ### Exercise 3
#
# The instance **hardened-1** has the role `old-reader`. Give it **new-reader** in its place; both roles stay.

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q3)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q3.check()

# %% [markdown]
# ## What you learned
#
# 1. An instance has one role at most; every program on it can act as that role.
# 2. Attaching needs `ecs:AttachInstanceRamRole` and `ram:PassRole`, and a role that trusts ECS.
# 3. An instance with a role refuses a second one; so do instances outside a VPC.
#
# Ask yourself:
#
# <details><summary>Why does attaching need ram:PassRole?</summary>Else anyone who may change an instance could attach a
# powerful role to it, log in, and have that role's permissions.</details>
#
# <details><summary>What happens to an instance between detach and attach?</summary>It has no role: a program that asks
# for a new credential in that moment gets none. What it already holds stays valid until it expires.</details>
#
# <details><summary>Two programs on one instance need different permissions. What now?</summary>One role for both, with
# the permissions of both; or two instances. An instance has one role.</details>
#
# Next: [03 Temporary credentials](03_credentials.ipynb)
