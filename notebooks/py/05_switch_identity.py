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
# # 05 Switch identity, least privilege
#
# A program that takes its identity from the instance does not know which role it has. So you can change what it may do
# **without touching the program**: change the role's policies, or give the instance another role.
#
# **The one idea here:** *least privilege*. A program gets what its work needs, and no more, so that a mistake or an
# intruder can do little. You make a smaller role, switch to it under the same program, and watch what is refused.
#
# Everything here happens in the **sandbox** on this machine; with `rr.connect("live")` the same cells work on a real
# account. After a restart of the kernel, run the cells from the top.

# %% tags=["setup"]
import ramrole_nb as rr

cloud = rr.connect()
lesson = rr.lesson(cloud, "05", made_for="0.1.0")
lesson.prepare()

# %% [markdown]
# Where this plays (*SANDBOX* or *LIVE*), and how far you are. If this notebook is older than the package,
# a note appears here.

# %% tags=["setup"]
lesson

# %% [markdown]
# ## Too much
#
# `EcsRamRole` reads all of OSS. The program on `web-1` only needs one picture, and yet it can read this:

# %%
program = cloud.buckets["sandbox-photos"].using(cloud.instances["web-1"])
program.head("private/salaries.csv")

# %% [markdown]
# ## A smaller role
#
# In the panel: press **Create role**, then **Show a policy of your own, for one bucket**. Enter the prefix `testfolder/`,
# press **Write the document**, read it, and press **Grant document**.

# %% tags=["panel"]
rr.widgets.RolePanel(cloud, name="OneFolder", bucket="sandbox-photos")

# %% [markdown]
# The same, typed. A document of your own becomes a **custom policy**, named after the role and its content. Look at the
# two statements: reading is allowed on objects, listing on the bucket.

# %% tags=["typed"]
smaller = cloud.roles.create("OneFolder")
smaller.grant(rr.policy.read_objects("sandbox-photos", prefix="testfolder/"))

# %% [markdown]
# ## Switch
#
# There is no call that replaces a role. It is taken off, and the other one is put on; in between there is none. In the
# panel: press **Replace role**.

# %% tags=["panel"]
rr.widgets.InstancesPanel(cloud, role="OneFolder", instances=["web-1"])

# %% tags=["typed"]
cloud.instances["web-1"].replace_role("OneFolder")

# %% [markdown]
# Who is the program now? Look at the ARN, the full name of an identity: the role in it is `OneFolder`.

# %%
cloud.instances["web-1"].identity()

# %% [markdown]
# The same object `program` as above: nothing in it was changed. It still reads what it needs.

# %%
program.download("testfolder/example.png", overwrite=True)

# %% [markdown]
# ### What goes wrong, as it should
#
# The file it has no business with is refused now. Look at *why*: no policy allows it. (If a policy forbade it, the card
# would say that instead.)

# %%
with rr.show_error():
    program.download("private/salaries.csv")

# %% [markdown]
# Listing is refused too, except within the folder:

# %%
with rr.show_error():
    program.list("private/")

# %%
program.list("testfolder/")

# %% [markdown]
# ## How small can it be?
#
# You need not guess. Let the program do its work, take what it called from the wire, and write the smallest policy that
# allows just that.

# %%
mark = cloud.wire.mark
program.download("testfolder/example.png", overwrite=True)

# %%
import json

seen = [call for call in cloud.wire.since(mark, explain=True) if call.caller == "role on web-1"]
json.loads(rr.policy.from_calls(seen).document)

# %% [markdown]
# ## Switch back
#
# The next notebooks expect `EcsRamRole` on `web-1`. In the panel: **Replace role**.

# %% tags=["panel"]
rr.widgets.InstancesPanel(cloud, role="EcsRamRole", instances=["web-1"])

# %% tags=["typed"]
cloud.instances["web-1"].replace_role("EcsRamRole")

# %% [markdown]
# ## On the wire
#
# Each switch is two calls: `DetachInstanceRamRole`, then `AttachInstanceRamRole`. After each, the program asked the
# metadata service anew. Look at the refused `GetObject`, and why.

# %% tags=["panel"]
rr.widgets.WirePanel(cloud)

# %% tags=["typed"]
cloud.wire

# %% [markdown]
# ## Exercises
#
# ### Exercise 1
#
# Let a program on **windows-1** read the objects in `testfolder/`, and no others. Any way is right.

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q1)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q1.check()

# %% [markdown]
# ### Exercise 2
#
# **web-2** reads. Make it a writer in `reports/`, and nowhere else; `photo-reader` itself stays a reader.

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q2)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q2.check()

# %% [markdown]
# ### Exercise 3
#
# **batch-1** and **batch-2** share one role. Narrow it on batch-2 alone, to `logs/`. A **session policy**, given with
# the attachment, can do that: `vm.attach(role, session_policy=...)`. (By clicks: in the panel above, detach the role
# from batch-2 and attach it again with the session policy; **Hint** gives the document.)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q3)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q3.check()

# %% [markdown]
# ## What you learned
#
# 1. The identity belongs to the instance: switch the role, and the same program is somebody else.
# 2. Least privilege: one bucket, one folder, the actions that are really called.
# 3. Replacing is detaching and attaching, with a gap between them.
#
# Ask yourself:
#
# <details><summary>You narrow the role's policy instead of replacing the role. When does it take effect?</summary>At the
# next request, also for credentials already handed out: permissions are looked up at each request.</details>
#
# <details><summary>A session policy allows oss:PutObject, the role does not. May the program write?</summary>No. Both
# have to allow it: a session policy only narrows.</details>
#
# <details><summary>Why does a policy for one folder need a condition for listing?</summary>Listing is asked of the
# bucket, not of the folder; the folder is a parameter of the request, oss:Prefix.</details>
#
# Next: [06 Troubleshoot](06_troubleshoot.ipynb)
